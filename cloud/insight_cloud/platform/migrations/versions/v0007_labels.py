# SPDX-License-Identifier: Apache-2.0
"""Labels: what people are asked about inputs, and what they said."""

import sqlalchemy as sa
from alembic import op

from insight_cloud.platform.schema import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    _tasks()
    _answers()
    op.create_table(
        "label_reviews",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("reviews", sa.Integer(), nullable=False),
        sa.Column("changed", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "model", name=op.f("pk_label_reviews")),
    )


def downgrade() -> None:
    """Take back."""
    for name in ("label_reviews", "label_answer", "label_task"):
        op.drop_table(name)


def _tasks() -> None:
    op.create_table(
        "label_task",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("sample", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("rank_score", sa.Double(), nullable=False),
        sa.Column("predicted_index", sa.BigInteger(), nullable=True),
        sa.Column("predicted_name", sa.String(), nullable=True),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("created", UtcTime(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("fault", sa.String(), nullable=True),
        sa.Column("leased_by", sa.String(), nullable=True),
        sa.Column("leased_until", UtcTime(), nullable=True),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("agreed", sa.Boolean(), nullable=False),
        sa.Column("label_index", sa.BigInteger(), nullable=True),
        sa.Column("label_name", sa.String(), nullable=True),
        sa.Column("label_by", sa.String(), nullable=True),
        sa.Column("decided_s", sa.Double(), nullable=True),
        sa.Column("owed", sa.Boolean(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_label_task")),
        sa.UniqueConstraint(
            "tenant", "device", "sample", name=op.f("uq_label_task_tenant_device_sample")
        ),
    )
    op.create_index(
        op.f("ix_label_task_tenant_state_model_rank_rank_score"),
        "label_task",
        ["tenant", "state", "model", "rank", "rank_score"],
        unique=False,
    )
    op.create_index(op.f("ix_label_task_owed"), "label_task", ["owed"], unique=False)


def _answers() -> None:
    op.create_table(
        "label_answer",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("label_index", sa.BigInteger(), nullable=True),
        sa.Column("label_name", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("corrects", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "task"],
            ["label_task.tenant", "label_task.id"],
            name=op.f("fk_label_answer_label_task"),
        ),
        sa.PrimaryKeyConstraint("tenant", "task", "number", name=op.f("pk_label_answer")),
    )
    op.create_index(
        op.f("ix_label_answer_tenant_by_at"), "label_answer", ["tenant", "by", "at"], unique=False
    )
