# SPDX-License-Identifier: Apache-2.0
"""Accounts: users, sessions, tokens, the audit trail."""

import sqlalchemy as sa
from alembic import op

from insight_cloud.platform.schema import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    _people()
    _sessions()
    op.create_table(
        "accounts_guess",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last", UtcTime(), nullable=False),
        sa.Column("until", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", name=op.f("pk_accounts_guess")),
    )
    op.create_index("ix_accounts_guess_last", "accounts_guess", ["last"])
    op.create_table(
        "accounts_audit",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_accounts_audit")),
    )
    for column in ("subject", "by"):
        name = f"ix_accounts_audit_tenant_{column}_id"
        op.create_index(name, "accounts_audit", ["tenant", column, "id"])


def downgrade() -> None:
    """Take back."""
    for name in ("audit", "guess", "token", "session", "user"):
        op.drop_table(f"accounts_{name}")


def _people() -> None:
    op.create_table(
        "accounts_user",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created", UtcTime(), nullable=False),
        sa.Column("disabled", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_accounts_user")),
    )


def _sessions() -> None:
    op.create_table(
        "accounts_session",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("created", UtcTime(), nullable=False),
        sa.Column("seen", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "token_hash", name=op.f("pk_accounts_session")),
        _of_user("session"),
        sa.UniqueConstraint("token_hash", name=op.f("uq_accounts_session_token_hash")),
    )
    op.create_table(
        "accounts_token",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created", UtcTime(), nullable=False),
        sa.Column("expires", UtcTime(), nullable=True),
        sa.Column("revoked", UtcTime(), nullable=True),
        sa.Column("used", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_accounts_token")),
        _of_user("token"),
        sa.UniqueConstraint("token_hash", name=op.f("uq_accounts_token_token_hash")),
    )


def _of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant", "user"],
        ["accounts_user.tenant", "accounts_user.name"],
        name=op.f(f"fk_accounts_{table}_accounts_user"),
    )
