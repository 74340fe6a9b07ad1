# SPDX-License-Identifier: Apache-2.0
"""Telemetry: what challengers did beside the bundles that served."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

KEY = ("tenant", "device", "deployment", "bundle")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "telemetry_challenge",
        *(sa.Column(name, sa.String(), nullable=False) for name in KEY),
        sa.Column("changed_s", sa.Double(), nullable=False),
        sa.Column("told", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_telemetry_challenge")),
    )
    op.create_index(
        op.f("ix_telemetry_challenge_tenant_bundle"), "telemetry_challenge", ["tenant", "bundle"]
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_telemetry_challenge_tenant_bundle"), "telemetry_challenge")
    op.drop_table("telemetry_challenge")
