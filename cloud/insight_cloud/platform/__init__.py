# SPDX-License-Identifier: Apache-2.0
"""What every domain stands on: settings, the database and the blob store.

Only this room creates an SQLAlchemy engine or an obstore store. It knows no
domain.
"""
