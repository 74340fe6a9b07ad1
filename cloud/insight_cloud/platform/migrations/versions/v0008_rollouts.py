# SPDX-License-Identifier: Apache-2.0
"""Rollouts: waves, gates and what was decided."""

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Take back."""
