# SPDX-License-Identifier: Apache-2.0
"""Labels: what people are asked about inputs, and what they said."""

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Take back."""
