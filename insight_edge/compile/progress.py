# SPDX-License-Identifier: Apache-2.0
"""What is known of a running compilation, and how long it may still take.

Pure. Time left is said from what earlier builds took, or as the limit after
which a build is killed; where neither is known it is not said.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["waiting", "building", "built", "failed", "asking", "asked"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """Where one target has got to.

    Attributes:
        token: of the target.
        usual_s: what earlier builds of the target took; None where there were none.
        most_s: after which the build is killed.
        build_s: what the build took, once it is over; 0 where it was in the cache.
        why: it failed.
    """

    token: str
    state: State
    usual_s: float | None = None
    most_s: float | None = None
    build_s: float | None = None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How much of the measurement is done."""

    done: int
    of: int


Watch = Callable[[Step | Rounds], None]


def watch_nothing(event: Step | Rounds) -> None:
    """Look away."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """Seconds that are left; `bound` where they are a limit and nothing that was seen before."""

    seconds: float
    bound: bool


def build_left(step: Step, elapsed_s: float) -> Left | None:
    """Return how long a build that waits or runs still takes, None where nothing is known.

    One that takes longer than usual is bounded by its limit alone.
    """
    if step.usual_s is not None and step.usual_s > elapsed_s:
        return Left(seconds=step.usual_s - elapsed_s, bound=False)
    if step.most_s is None:
        return None
    return Left(seconds=max(0.0, step.most_s - elapsed_s), bound=True)


def builds_left(
    running: Sequence[Left | None], waiting: Sequence[Left | None], at_once: int
) -> Left | None:
    """Return how long all builds still take, None where nothing is known of one.

    Args:
        running: what is left of each that runs.
        waiting: of each that does not, in the order in which they begin.
        at_once: how many run at once, at least one.
    """
    known = [left for left in (*running, *waiting) if left is not None]
    if len(known) < len(running) + len(waiting):
        return None
    places = sorted([left.seconds for left in running if left is not None])
    places = [0.0] * max(0, at_once - len(places)) + places
    for left in waiting:
        places.sort()
        places[0] += left.seconds if left is not None else 0.0
    return Left(seconds=max(places), bound=any(left.bound for left in known))


def rounds_left(rounds: Rounds, elapsed_s: float) -> Left | None:
    """Return how long the measurement still takes, by the rounds that are done."""
    if not rounds.done:
        return None
    return Left(seconds=elapsed_s / rounds.done * (rounds.of - rounds.done), bound=False)
