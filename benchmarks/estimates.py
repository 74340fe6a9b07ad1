# SPDX-License-Identifier: Apache-2.0
"""What paired rounds say that `stats.interval` has no word for: pure.

Round i of either side was measured one right after the other; intervals
resample whole rounds. Seeded; no clock, no verdict.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.stats.interval import Estimate, median_interval

Blocks = Sequence[NDArray[np.int64]]
Statistic = Callable[[Any], Any]
Compare = Callable[[float, float], float]

DRAWS = 1000
TAIL = 0.025
"""Of either side of a 95 % interval."""


def difference_interval(measured: Blocks, peer: Blocks) -> Estimate:
    """Return the median over rounds of the difference of medians, and its bootstrap interval.

    Raises:
        ValueError: the sides have different numbers of blocks, none, or an empty one.
    """
    pairs = zip(measured, peer, strict=True)
    return median_interval([np.array([np.median(own) - np.median(other)]) for own, other in pairs])


def percentile_ratio(measured: Blocks, peer: Blocks, percent: float, seed: int = 0) -> Estimate:
    """Return the ratio of the percentiles of all latencies, and its bootstrap interval.

    A tail is not the median of rounds' tails: rounds are pooled, and drawn in pairs.

    Raises:
        ValueError: the sides have different numbers of blocks, none, or an empty one.
    """
    return _pooled(measured, peer, _percentile(percent), operator.truediv, seed)


def percentile_difference(
    measured: Blocks, peer: Blocks, percent: float, seed: int = 0
) -> Estimate:
    """Return by how much the percentile of all latencies differs; otherwise `percentile_ratio`."""
    return _pooled(measured, peer, _percentile(percent), operator.sub, seed)


def mean_ratio(measured: Blocks, peer: Blocks, seed: int = 0) -> Estimate:
    """Return the ratio of the means of all latencies, and its bootstrap interval.

    Callers that ask without pause get through one over the mean each: this is what throughput is.

    Raises:
        ValueError: as `percentile_ratio`.
    """
    return _pooled(measured, peer, np.mean, operator.truediv, seed)


def _percentile(percent: float) -> Statistic:
    return lambda taken: np.percentile(taken, percent)


def _pooled(
    measured: Blocks, peer: Blocks, statistic: Statistic, compare: Compare, seed: int
) -> Estimate:
    if len(measured) != len(peer) or not measured:
        raise ValueError(f"{len(measured)} rounds against {len(peer)}")
    if not all(len(block) for block in (*measured, *peer)):
        raise ValueError("every round needs a latency on both sides")

    def compared(rounds: NDArray[np.int64]) -> float:
        own, other = (np.concatenate([side[i] for i in rounds]) for side in (measured, peer))
        return compare(float(statistic(own)), float(statistic(other)))

    rounds = np.arange(len(measured))
    drawn = np.random.default_rng(seed).choice(rounds, (DRAWS, len(rounds)))
    low, high = np.quantile([compared(draw) for draw in drawn], (TAIL, 1 - TAIL))
    return compared(rounds), float(low), float(high)
