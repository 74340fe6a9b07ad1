# SPDX-License-Identifier: Apache-2.0
"""What a decision is taken on: how devices took a bundle, and what they counted. Values only."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Calls:
    """What some devices counted with one bundle.

    Attributes:
        asked: calls of `infer`.
        failed: those in which the engine failed.
        observed: rows that statistics have seen.
        flagged: those with NaN or an input out of range.
        timed: calls whose latency is known.
        p99_ms: None where there is none.
    """

    asked: int = 0
    failed: int = 0
    observed: int = 0
    flagged: int = 0
    timed: int = 0
    p99_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class Group:
    """The devices of one profile in one wave that were asked and did not leave.

    Attributes:
        wave: counted from 0.
        members: how many.
        absent: of those that have neither committed nor failed, how many are offline.
        commits: when each that has committed did.
        failures: of each that has failed, its name and the reason.
        new, old: what they counted with this bundle, and before with the one they had.
        slow: calls with the new bundle that took longer than `allowed_ms`.
        allowed_ms: None where p99 of the old bundle is not known.
    """

    wave: int
    profile: str
    members: int
    absent: int = 0
    commits: tuple[datetime, ...] = ()
    failures: tuple[str, ...] = ()
    new: Calls = Calls()
    old: Calls = Calls()
    slow: int = 0
    allowed_ms: float | None = None

    @property
    def name(self) -> str:
        """`wave 2, rpi5-8gb`, as people count."""
        return f"wave {self.wave + 1}, {self.profile}"

    @property
    def open(self) -> int:
        """How many have neither committed nor failed."""
        return self.members - len(self.commits) - len(self.failures)


@dataclass(frozen=True, kw_only=True)
class Turnout:
    """How results of one profile's bundles turned out, of those that are known.

    Attributes:
        new_judged, old_judged: with the new bundle, and with those before.
        new_wrong, old_wrong: of these.
    """

    profile: str
    new_judged: int = 0
    new_wrong: int = 0
    old_judged: int = 0
    old_wrong: int = 0


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that is known when a decision is taken.

    Attributes:
        groups: of all waves that have begun.
        unlisted: bundles that devices still wait for and may not install any more.
    """

    groups: tuple[Group, ...] = ()
    turnouts: tuple[Turnout, ...] = ()
    unlisted: tuple[str, ...] = ()
