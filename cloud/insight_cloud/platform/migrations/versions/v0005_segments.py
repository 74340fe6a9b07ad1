# SPDX-License-Identifier: Apache-2.0
"""Telemetry: segments, which monitoring reads one after the other."""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Take back."""
