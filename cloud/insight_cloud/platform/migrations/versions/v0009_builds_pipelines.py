# SPDX-License-Identifier: Apache-2.0
"""Builds and pipelines."""

import sqlalchemy as sa
from alembic import op

from insight_cloud.platform.schema import UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "builds_build",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("bundle", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("log", sa.String(), nullable=False),
        sa.Column("trials", sa.JSON(), nullable=False),
        sa.Column("queued", UtcTime(), nullable=False),
        sa.Column("started", UtcTime(), nullable=True),
        sa.Column("ended", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint(
            "tenant", "model", "version", "profile", "attempt", name=op.f("pk_builds_build")
        ),
    )
    op.create_index(op.f("ix_builds_build_tenant_queued"), "builds_build", ["tenant", "queued"])
    _policies_and_runs()
    op.create_table(
        "pipelines_step",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("started", UtcTime(), nullable=False),
        sa.Column("ended", UtcTime(), nullable=True),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant", "run"],
            ["pipelines_run.tenant", "pipelines_run.id"],
            name=op.f("fk_pipelines_step_pipelines_run"),
        ),
        sa.PrimaryKeyConstraint("tenant", "run", "name", name=op.f("pk_pipelines_step")),
    )


def _policies_and_runs() -> None:
    op.create_table(
        "pipelines_policy",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("changed", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "model", name=op.f("pk_pipelines_policy")),
    )
    op.create_table(
        "pipelines_run",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("opened", UtcTime(), nullable=False),
        sa.Column("ended", UtcTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("cancelled_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_pipelines_run")),
    )
    op.create_index(
        op.f("ix_pipelines_run_tenant_model_number"),
        "pipelines_run",
        ["tenant", "model", "number"],
        unique=True,
    )
    op.create_index(op.f("ix_pipelines_run_tenant_opened"), "pipelines_run", ["tenant", "opened"])


def downgrade() -> None:
    """Take back."""
    for name in ("pipelines_step", "pipelines_run", "pipelines_policy", "builds_build"):
        op.drop_table(name)
