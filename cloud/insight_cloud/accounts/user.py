# SPDX-License-Identifier: Apache-2.0
"""What the other rooms see of users and tokens. Values only."""

from dataclasses import dataclass
from datetime import datetime

from insight_cloud.accounts.rules import Role


@dataclass(frozen=True, kw_only=True)
class User:
    """Someone who may sign in.

    Attributes:
        disabled: since when nothing of theirs counts; None while it does.
    """

    name: str
    role: Role
    created: datetime
    disabled: datetime | None


@dataclass(frozen=True, kw_only=True)
class Token:
    """What a program shows instead of signing in, without the secret itself.

    Attributes:
        used: when last, to some minutes.
    """

    id: str
    user: str
    name: str
    role: Role
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    used: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A token that was just made.

    Attributes:
        secret: shown here and never again.
    """

    token: Token
    secret: str
