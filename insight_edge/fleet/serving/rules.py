# SPDX-License-Identifier: Apache-2.0
"""When a server is started, ended or left alone. Pure: what was seen in, what to do out."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0
STABLE_S: Final = 30.0
"""A server that ran so long did not end at once."""

SILENT_S: Final = 180.0
"""A server whose runtime host cannot be asked for so long hangs; to load a model takes less."""

ENDING_S: Final = 20.0
"""A server that was told to end answers what is under way, for 10 s at most (`serve`)."""


class Step(Enum):
    """What to do next."""

    NOTHING = "nothing"
    START = "start"
    END = "end"
    KILL = "kill"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to see, at one time of the monotonic clock.

    Attributes:
        wanted: there is a plan.
        running: the server that was started runs.
        outdated: it was started by another plan.
        attached: its runtime host can be asked.
        taken: another process is the runtime host of the deployment.
    """

    wanted: bool
    running: bool
    outdated: bool = False
    attached: bool = False
    taken: bool = False


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a server has fared.

    Attributes:
        began_s: when the one that runs was started or found.
        heard_s: when its host could last be asked.
        told_s: when it was told to end.
        failures: servers that ended at once, one after the other.
        due_s: before then none is started.
    """

    began_s: float | None = None
    heard_s: float = 0.0
    told_s: float | None = None
    failures: int = 0
    due_s: float = 0.0


def step(standing: Standing, seen: Seen, now_s: float) -> tuple[Standing, Step]:
    """Return what to do, and how it stands when that is done."""
    if not seen.running:
        return _down(standing, seen, now_s)
    if standing.began_s is None:  # found, from an agent before this one
        standing = replace(standing, began_s=now_s, heard_s=now_s)
    if seen.attached:
        standing = replace(standing, heard_s=now_s)
    if standing.told_s is not None:
        late = now_s - standing.told_s > ENDING_S
        return standing, Step.KILL if late else Step.NOTHING
    if not seen.wanted or seen.outdated:
        return replace(standing, told_s=now_s), Step.END
    silent = now_s - standing.heard_s > SILENT_S
    return standing, Step.KILL if silent else Step.NOTHING


def _down(standing: Standing, seen: Seen, now_s: float) -> tuple[Standing, Step]:
    if standing.began_s is not None:
        standing = _ended(standing, now_s)
    if not seen.wanted or seen.taken or now_s < standing.due_s:
        return standing, Step.NOTHING
    return replace(standing, began_s=now_s, heard_s=now_s), Step.START


def _ended(standing: Standing, now_s: float) -> Standing:
    """Return how it stands after a server ended: told to, or by itself."""
    began_s = now_s if standing.began_s is None else standing.began_s
    if standing.told_s is not None:
        return Standing(due_s=now_s)
    failures = 1 if now_s - began_s >= STABLE_S else standing.failures + 1
    pause_s = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 30), LONGEST_PAUSE_S)
    return Standing(failures=failures, due_s=now_s + pause_s)
