# SPDX-License-Identifier: Apache-2.0
"""Rollouts: waves, gates and what was decided."""

import sqlalchemy as sa
from alembic import op

from insight_cloud.platform.schema import UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = ("rollouts_rollout", "rollouts_member", "rollouts_decision", "rollouts_event")


def upgrade() -> None:
    """Apply."""
    _rollout()
    _member()
    _told()


def downgrade() -> None:
    """Take back."""
    for name in reversed(TABLES):
        op.drop_table(name)


def _rollout() -> None:
    op.create_table(
        "rollouts_rollout",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("selection", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("waves", sa.Integer(), nullable=False),
        sa.Column("deadline", UtcTime(), nullable=True),
        sa.Column("waived", sa.Boolean(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("created", UtcTime(), nullable=False),
        sa.Column("changed", UtcTime(), nullable=False),
        sa.Column("decisions", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_rollouts_rollout")),
    )
    op.create_index(
        op.f("ix_rollouts_rollout_tenant_state"),
        "rollouts_rollout",
        ["tenant", "state"],
        unique=False,
    )


def _member() -> None:
    op.create_table(
        "rollouts_member",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("rollout", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=True),
        sa.Column("bundle", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("before", sa.String(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.Column("asked", UtcTime(), nullable=True),
        sa.Column("committed", UtcTime(), nullable=True),
        sa.Column("changed", UtcTime(), nullable=False),
        _of_rollout("rollouts_member"),
        sa.PrimaryKeyConstraint("tenant", "rollout", "device", name=op.f("pk_rollouts_member")),
    )
    op.create_index(
        op.f("ix_rollouts_member_tenant_device"),
        "rollouts_member",
        ["tenant", "device"],
        unique=False,
    )


def _told() -> None:
    op.create_table(
        "rollouts_decision",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("rollout", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("figures", sa.String(), nullable=False),
        _of_rollout("rollouts_decision"),
        sa.PrimaryKeyConstraint("tenant", "rollout", "number", name=op.f("pk_rollouts_decision")),
    )
    op.create_table(
        "rollouts_event",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("rollout", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=True),
        _of_rollout("rollouts_event"),
        sa.PrimaryKeyConstraint("tenant", "rollout", "number", name=op.f("pk_rollouts_event")),
    )


def _of_rollout(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant", "rollout"],
        ["rollouts_rollout.tenant", "rollouts_rollout.id"],
        name=op.f(f"fk_{table}_rollouts_rollout"),
    )
