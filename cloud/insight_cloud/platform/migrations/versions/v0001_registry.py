# SPDX-License-Identifier: Apache-2.0
"""The registry: models, versions, their artifacts and aliases."""

import sqlalchemy as sa
from alembic import op

from insight_cloud.platform.schema import UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

VERSION_KEY = ["tenant", "model", "number"]
VERSION_COLUMNS = [f"registry_version.{column}" for column in VERSION_KEY]


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "registry_model",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("created", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_registry_model")),
    )
    op.create_table(
        "registry_version",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("created", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "model"],
            ["registry_model.tenant", "registry_model.name"],
            name=op.f("fk_registry_version_registry_model"),
        ),
        sa.PrimaryKeyConstraint(*VERSION_KEY, name=op.f("pk_registry_version")),
    )
    op.create_table(
        "registry_artifact",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("length_bytes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            VERSION_KEY, VERSION_COLUMNS, name=op.f("fk_registry_artifact_registry_version")
        ),
        sa.PrimaryKeyConstraint(*VERSION_KEY, "name", name=op.f("pk_registry_artifact")),
    )
    op.create_table(
        "registry_alias",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("changed", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            VERSION_KEY, VERSION_COLUMNS, name=op.f("fk_registry_alias_registry_version")
        ),
        sa.PrimaryKeyConstraint("tenant", "model", "alias", name=op.f("pk_registry_alias")),
    )


def downgrade() -> None:
    """Take back."""
    for name in ("registry_alias", "registry_artifact", "registry_version", "registry_model"):
        op.drop_table(name)
