# SPDX-License-Identifier: Apache-2.0
"""Jobs: what devices are asked to do once, and what they measured."""

import sqlalchemy as sa
from alembic import op

from insight_cloud.platform.schema import UtcTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = ("jobs_job", "jobs_member", "jobs_measurement")
OF_JOB = ["jobs_job.tenant", "jobs_job.id"]


def upgrade() -> None:
    """Apply."""
    _job()
    _member()
    _measurement()


def downgrade() -> None:
    """Take back."""
    for name in reversed(TABLES):
        op.drop_table(name)


def _job() -> None:
    op.create_table(
        "jobs_job",
        *_texts("tenant", "id"),
        sa.Column("key", sa.String(), nullable=True),
        *_texts("kind", "bundle", "model"),
        sa.Column("version", sa.Integer(), nullable=False),
        *_texts("profile", "artifacts", "targets", "selection", "terms", "left_out"),
        sa.Column("spare", sa.Integer(), nullable=False),
        *_texts("state", "reason", "by"),
        sa.Column("created", UtcTime(), nullable=False),
        sa.Column("expires", UtcTime(), nullable=False),
        sa.Column("withdrawn", UtcTime(), nullable=True),
        sa.Column("ended", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_jobs_job")),
        sa.UniqueConstraint("tenant", "key", name=op.f("uq_jobs_job_tenant_key")),
    )
    _index("jobs_job", "tenant", "created")
    _index("jobs_job", "ended")


def _member() -> None:
    op.create_table(
        "jobs_member",
        *_texts("tenant", "job", "device", "state", "phase", "why"),
        *(
            sa.Column(name, UtcTime(), nullable=True)
            for name in ("told", "said", "accepted", "ended")
        ),
        sa.Column("heard", sa.String(), nullable=True),
        *_texts("left_out"),
        sa.ForeignKeyConstraint(["tenant", "job"], OF_JOB, name=op.f("fk_jobs_member_jobs_job")),
        sa.PrimaryKeyConstraint("tenant", "job", "device", name=op.f("pk_jobs_member")),
    )
    _index("jobs_member", "tenant", "device")


def _measurement() -> None:
    op.create_table(
        "jobs_measurement",
        *_texts("tenant"),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        *_texts("job", "device", "model"),
        sa.Column("version", sa.Integer(), nullable=False),
        *_texts("profile", "bundle", "artifact", "variant", "target"),
        sa.Column("at", UtcTime(), nullable=False),
        *_texts("document", "figures"),
        sa.ForeignKeyConstraint(
            ["tenant", "job"], OF_JOB, name=op.f("fk_jobs_measurement_jobs_job")
        ),
        sa.PrimaryKeyConstraint("tenant", "number", name=op.f("pk_jobs_measurement")),
        sa.UniqueConstraint(
            "tenant",
            "job",
            "device",
            "variant",
            name=op.f("uq_jobs_measurement_tenant_job_device_variant"),
        ),
    )
    for columns in (("model", "version"), ("bundle",), ("artifact",)):
        _index("jobs_measurement", "tenant", *columns)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, [*columns], unique=False)
