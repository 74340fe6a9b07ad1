# SPDX-License-Identifier: Apache-2.0
"""Serve several subjects in turn, round by round, each round of all by one schedule."""

import random
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.scenarios.load import Round
from insight_edge.bench.scenarios.scenario import Scenario
from insight_edge.bench.scenarios.schedule import arrivals_of


class Served(Protocol):
    """What answers queries when they are due."""

    def serve(self, due_ns: NDArray[np.int64], waiting: int) -> NDArray[np.int64]:
        """Return when each was begun and answered; see `scenarios.serving`."""
        ...


def serve_in_turn(
    subjects: Mapping[str, Served],
    scenario: Scenario,
    *,
    rounds: int,
    round_s: float,
    seed: int = 0,
    tell: Callable[[int], None] = lambda _: None,
) -> dict[str, list[Round]]:
    """Return the rounds of every subject, round i of each by the same schedule.

    Every round begins with an empty queue. A round that by chance has no query is left out.

    Args:
        subjects: by name.
        scenario: one with a rate.
        rounds: how many.
        round_s: how long each is.
        seed: of the schedules, and of the order within rounds.
        tell: called with the number of rounds done.
    """
    order = list(subjects)
    shuffle = random.Random(seed).shuffle  # noqa: S311 (an order, not a secret)
    found: dict[str, list[Round]] = {name: [] for name in subjects}
    for done in range(rounds):
        due_ns = arrivals_of(scenario, round_s, (seed, done))
        shuffle(order)
        for name in order if len(due_ns) else ():
            times = subjects[name].serve(due_ns, scenario.waiting)
            found[name].append(Round(due_ns=due_ns, times=times, duration_s=round_s))
        tell(done + 1)
    return found
