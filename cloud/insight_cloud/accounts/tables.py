# SPDX-License-Identifier: Apache-2.0
"""The tables of accounts; only this domain imports them.

No password, session or token is in them, only what they are recognised by.
"""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from insight_cloud.platform.schema import Row

USER = ["accounts_user.tenant", "accounts_user.name"]


class UserRow(Row):
    """Someone who may sign in; a name is given once and never again."""

    __tablename__ = "accounts_user"

    name: Mapped[str] = mapped_column(primary_key=True)
    password_hash: Mapped[str]
    role: Mapped[str]
    created: Mapped[datetime]
    disabled: Mapped[datetime | None]


class SessionRow(Row):
    """A browser in which someone is signed in."""

    __tablename__ = "accounts_session"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "user"], USER),
        UniqueConstraint("token_hash"),
    )

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user: Mapped[str]
    created: Mapped[datetime]
    seen: Mapped[datetime]


class TokenRow(Row):
    """What a program shows instead of signing in.

    Attributes:
        id: to speak of it; says nothing of the token.
        role: it acts with this one, or with its owner's where that is lower.
    """

    __tablename__ = "accounts_token"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "user"], USER),
        UniqueConstraint("token_hash"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    token_hash: Mapped[str]
    user: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    created: Mapped[datetime]
    expires: Mapped[datetime | None]
    revoked: Mapped[datetime | None]
    used: Mapped[datetime | None]


class GuessRow(Row):
    """Passwords that were wrong lately, by whom and from where they were tried.

    Attributes:
        subject: digest of name and address, so that a password typed as a name is not kept.
        until: no password is looked at before.
    """

    __tablename__ = "accounts_guess"
    __table_args__ = (Index(None, "last"),)

    subject: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last: Mapped[datetime]
    until: Mapped[datetime]


class AuditRow(Row):
    """One change that someone made, or tried to.

    Attributes:
        id: sorts by time.
    """

    __tablename__ = "accounts_audit"
    __table_args__ = (Index(None, "tenant", "subject", "id"), Index(None, "tenant", "by", "id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    by: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[str]
