# SPDX-License-Identifier: Apache-2.0
"""Monitoring: thresholds, assessments, alarms."""

import sqlalchemy as sa
from alembic import op

from insight_cloud.platform.schema import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = (
    "monitoring_policy",
    "monitoring_threshold",
    "monitoring_assessment",
    "monitoring_alarm",
)


def upgrade() -> None:
    """Apply."""
    _policy()
    _threshold()
    _assessment()
    _alarm()


def downgrade() -> None:
    """Take back."""
    for name in reversed(TABLES):
        op.drop_table(name)


def _policy() -> None:
    op.create_table(
        "monitoring_policy",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("budget", sa.Double(), nullable=False),
        sa.Column("window_rows", sa.Integer(), nullable=False),
        sa.Column("votes", sa.Integer(), nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("steady", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("changed", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "model", name=op.f("pk_monitoring_policy")),
    )


def _threshold() -> None:
    op.create_table(
        "monitoring_threshold",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("window_rows", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("statistic", sa.String(), nullable=False),
        sa.Column("budget", sa.Double(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("drawn", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant",
            "bundle",
            "window_rows",
            "statistic",
            "budget",
            name=op.f("pk_monitoring_threshold"),
        ),
    )


def _assessment() -> None:
    op.create_table(
        "monitoring_assessment",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("opened_s", sa.Double(), nullable=False),
        sa.Column("closed_s", sa.Double(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("devices", sa.JSON(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("limit", sa.Double(), nullable=True),
        sa.Column("limit_rows", sa.Integer(), nullable=True),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("features", sa.String(), nullable=False),
        sa.Column("assessed", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "bundle", "number", name=op.f("pk_monitoring_assessment")
        ),
    )


def _alarm() -> None:
    op.create_table(
        "monitoring_alarm",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("opened", UtcTime(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("first_s", sa.Double(), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=True),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("outcomes", sa.String(), nullable=False),
        sa.Column("closed", UtcTime(), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_monitoring_alarm")),
    )
    op.create_index(
        op.f("ix_monitoring_alarm_tenant_bundle"),
        "monitoring_alarm",
        ["tenant", "bundle"],
        unique=False,
    )
    op.create_index(
        op.f("ix_monitoring_alarm_tenant_closed"),
        "monitoring_alarm",
        ["tenant", "closed"],
        unique=False,
    )
