# SPDX-License-Identifier: Apache-2.0
"""The seams of importers and backends, and how they are found. None is named here."""
