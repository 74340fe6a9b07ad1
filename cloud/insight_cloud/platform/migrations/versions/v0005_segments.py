# SPDX-License-Identifier: Apache-2.0
"""Telemetry: segments, which monitoring reads one after the other, and how reports arrive."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


FEW = {
    "ix_telemetry_report_hour_device": (["hour", "device"], "state = 'new'"),
    "ix_telemetry_report_tenant_bundle": (["tenant", "bundle"], "state = 'waiting'"),
}
"""Of the reports that something is still to be done about."""


def upgrade() -> None:
    """Apply."""
    op.drop_index(op.f("ix_telemetry_report_state_hour_device"), "telemetry_report")
    for name, (columns, condition) in FEW.items():
        where = sa.text(condition)
        op.create_index(
            op.f(name), "telemetry_report", columns, sqlite_where=where, postgresql_where=where
        )
    op.create_table(
        "telemetry_segment",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("begun_s", sa.Double(), nullable=False),
        sa.Column("opened_s", sa.Double(), nullable=False),
        sa.Column("closed_s", sa.Double(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("devices", sa.JSON(), nullable=False),
        sa.Column("reports", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("answered", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("observed", sa.BigInteger(), nullable=False),
        sa.Column("flagged", sa.BigInteger(), nullable=False),
        sa.Column("broken", sa.BigInteger(), nullable=False),
        sa.Column("statistics", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "bundle", "number", name=op.f("pk_telemetry_segment")),
    )
    op.create_index(
        op.f("ix_telemetry_segment_complete_begun_s"),
        "telemetry_segment",
        ["complete", "begun_s"],
        unique=False,
    )
    op.create_table(
        "telemetry_run",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("boot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("forgotten", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "device", "deployment", "boot", name=op.f("pk_telemetry_run")
        ),
    )
    op.create_table(
        "telemetry_intake",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("duplicates", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "device", name=op.f("pk_telemetry_intake")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("telemetry_intake")
    op.drop_table("telemetry_run")
    op.drop_table("telemetry_segment")
    for name in FEW:
        op.drop_index(op.f(name), "telemetry_report")
    op.create_index(
        op.f("ix_telemetry_report_state_hour_device"),
        "telemetry_report",
        ["state", "hour", "device"],
        unique=False,
    )
