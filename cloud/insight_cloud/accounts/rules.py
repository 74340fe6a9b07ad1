# SPDX-License-Identifier: Apache-2.0
"""Who may do what, what a name and a password are, when trust ends. Pure."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from insight_edge.errors import ConfigurationError

IDLE = timedelta(hours=12)
"""A session that nobody used for so long is over."""

LONGEST = timedelta(days=7)
"""No session lasts longer, used or not."""

NOTED_EACH = timedelta(minutes=5)
"""How exactly it is kept when a session or token was used last."""

MIN_PASSWORD, MAX_PASSWORD = 12, 1024
FREE_GUESSES = 5
"""Wrong passwords of one name from one address before the next has to wait."""

LONGEST_WAIT = timedelta(minutes=15)

FREE_GUESSES_OF_ADDRESS = 100
"""Whatever the names are: many may sign in from behind one address."""

LONGEST_WAIT_OF_ADDRESS = timedelta(minutes=1)
GUESSES_KEPT = timedelta(days=1)
MAX_NEXT = 500

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")


class Role(StrEnum):
    """What someone may do; each includes those before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Return its place among the roles."""
        return tuple(Role).index(self)

    def __lt__(self, other: str) -> bool:
        """Return whether it allows less; the alphabet would say that of the wrong ones."""
        return self.rank < Role(other).rank

    def __le__(self, other: str) -> bool:
        """Return whether it allows no more."""
        return self.rank <= Role(other).rank

    def __gt__(self, other: str) -> bool:
        """Return whether it allows more."""
        return self.rank > Role(other).rank

    def __ge__(self, other: str) -> bool:
        """Return whether it allows no less."""
        return self.rank >= Role(other).rank

    def allows(self, needed: "Role") -> bool:
        """Return whether someone with this role may do what needs another."""
        return self.rank >= needed.rank


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Whoever asks, once it is known who that is.

    Attributes:
        token: id of the token that was shown; None for a browser.
        until: the token counts; None where it does not expire.
    """

    name: str
    role: Role
    tenant: str
    token: str | None = None
    until: datetime | None = None


def lower_of(one: Role, other: Role) -> Role:
    """Return the role that allows less."""
    return min(one, other, key=lambda role: role.rank)


def check_user_name(name: str) -> None:
    """Refuse what is no name of a user.

    Raises:
        ConfigurationError: it is none.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"'{name[:64]}' is no name of a user",
            hint="use up to 64 lower-case letters, digits, dots, dashes and underscores",
        )


def check_password(name: str, password: str) -> None:
    """Refuse a password that is guessed too easily.

    Raises:
        ConfigurationError: it is too short, too long or the name.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ConfigurationError(
            f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters",
            hint="a few words are easy to remember and hard to guess",
        )
    if password.lower().strip() == name or len(set(password)) < 4:
        raise ConfigurationError("this password is guessed at once", hint="choose another")


def wait_after(
    failures: int, *, free: int = FREE_GUESSES, longest: timedelta = LONGEST_WAIT
) -> timedelta:
    """Return how long no password is looked at after so many wrong ones in a row."""
    if failures < free:
        return timedelta()
    return min(longest, timedelta(seconds=2 ** min(failures - free, 20)))


def session_is_over(created: datetime, seen: datetime, now: datetime) -> bool:
    """Return whether a session counts no longer."""
    return now - seen > IDLE or now - created > LONGEST


def secret_hash(secret: str) -> str:
    """Return what a random secret is recognised by: it has 256 bits, so a plain hash does."""
    return _digest(secret)


def guess_subject(name: str, address: str) -> str:
    """Return what wrong passwords are counted by; all of an address where the name is empty."""
    return _digest(f"{name}\0{address}")


def one_line(text: str) -> str:
    """Return a text as one line that does nothing to a terminal that shows it."""
    return "".join(one if one.isprintable() else " " for one in text)


def safe_next(path: str | None) -> str:
    """Return a path of this site to go on with after signing in, `/` where it is none."""
    local = path is not None and re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", path)
    return path if path is not None and local and len(path) <= MAX_NEXT else "/"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
