# SPDX-License-Identifier: Apache-2.0
"""When queries are due: pure, from a rate, a duration and a seed. No clock is read here."""

import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.scenarios.scenario import Scenario

Arrivals = NDArray[np.int64]


def arrivals_of(scenario: Scenario, duration_s: float, seed: tuple[int, ...]) -> Arrivals:
    """Return when queries of a scenario with a rate are due, in ns from the beginning, rising.

    A server's come as a Poisson process, a sensor's one period after the other.

    Raises:
        ValueError: it has no rate.
    """
    if scenario.rate_per_s is None:
        raise ValueError(f"{scenario.name} asks one query after the other")
    if scenario.name == "sensor":
        return periodic(scenario.rate_per_s, duration_s)
    return poisson(scenario.rate_per_s, duration_s, np.random.default_rng(seed))


def poisson(rate_per_s: float, duration_s: float, random: np.random.Generator) -> Arrivals:
    """Return the events of a Poisson process within a duration.

    Given how many there are, they lie anywhere alike.
    """
    count = random.poisson(rate_per_s * duration_s)
    return np.sort(random.uniform(0, duration_s * 1e9, count)).astype(np.int64)


def periodic(rate_per_s: float, duration_s: float) -> Arrivals:
    """Return events one period apart, the first at once."""
    count = max(1, int(rate_per_s * duration_s + 1e-9))
    return np.round(np.arange(count) * (1e9 / rate_per_s)).astype(np.int64)
