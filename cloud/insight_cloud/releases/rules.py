# SPDX-License-Identifier: Apache-2.0
"""What a release is, who decides that it is installed, when signatures are renewed. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal

from insight_edge.errors import ConfigurationError

_PROFILE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_RESERVED = frozenset({"root", "targets", "snapshot", "timestamp"})


class State(StrEnum):
    """Whether devices may install a bundle."""

    PENDING = "pending"
    LISTED = "listed"
    REVOKED = "revoked"


class Mode(StrEnum):
    """Who decides that a new bundle of a model is listed."""

    AUTO = "auto"
    HUMAN = "human"


class Rotation(StrEnum):
    """Which keys are replaced by new ones."""

    ROOT = "root"
    TARGETS = "targets"
    SNAPSHOT = "snapshot"
    TIMESTAMP = "timestamp"
    BUILD = "build"
    DIRECTOR = "director"


@dataclass(frozen=True, kw_only=True)
class Release:
    """One bundle that was published.

    Attributes:
        bundle: digest of its manifest.
        version: of the model; 0 for one that no registry knows.
        length_bytes: of the manifest.
        decided_by: who approved or revoked it; None where nobody had to.
        changed: when its state did.
    """

    bundle: str
    model: str
    version: int
    profile: str
    length_bytes: int
    state: State
    decided_by: str | None
    created: datetime
    changed: datetime


@dataclass(frozen=True, kw_only=True)
class Lifetimes:
    """How long a signature counts.

    The timestamp's is the longest outage of the cloud after which devices still install, and the
    longest for which someone between them can hide what is new.
    """

    root: timedelta = timedelta(days=730)
    targets: timedelta = timedelta(days=365)
    profile: timedelta = timedelta(days=90)
    snapshot: timedelta = timedelta(days=14)
    timestamp: timedelta = timedelta(days=14)


Kind = Literal["root", "targets", "profile", "snapshot", "timestamp"]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How long what is signed now will count.

    Attributes:
        now: in UTC, whole seconds, as TUF writes moments.
    """

    now: datetime
    lifetimes: Lifetimes

    def end(self, kind: Kind) -> datetime:
        """Return when it expires."""
        lifetime: timedelta = getattr(self.lifetimes, kind)
        return self.now + lifetime

    def is_due(self, kind: Kind, expires: datetime) -> bool:
        """Return whether a signature is renewed: past half of its life."""
        lifetime: timedelta = getattr(self.lifetimes, kind)
        return expires - self.now < lifetime / 2


def terms_at(now: datetime, lifetimes: Lifetimes) -> Terms:
    """Return the terms of what is signed at a moment.

    Raises:
        ValueError: the moment has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError(f"{now} has no time zone")
    return Terms(now=now.astimezone(UTC).replace(microsecond=0), lifetimes=lifetimes)


def first_state(mode: Mode) -> State:
    """Return the state of a bundle that was just published."""
    return State.LISTED if mode is Mode.AUTO else State.PENDING


def check_profile(profile: str) -> None:
    """Refuse what cannot be the name of a delegated role: it is a pattern's and a file's part.

    Raises:
        ConfigurationError: it cannot.
    """
    if _PROFILE.fullmatch(profile) is None or len(profile) > 63 or profile in _RESERVED:
        raise ConfigurationError(
            f"'{profile[:80]}' cannot be a profile that bundles are released for",
            hint="lower-case letters and digits, joined by '-', and no name of a TUF role",
        )
