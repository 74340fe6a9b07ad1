# SPDX-License-Identifier: Apache-2.0
"""The Alembic environment; `platform.migration` is its only door."""
