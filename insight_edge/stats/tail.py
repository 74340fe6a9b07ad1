# SPDX-License-Identifier: Apache-2.0
"""A percentile of latencies in rounds, with its interval, where there are enough for it.

Queries that were never answered count as infinitely slow. Nothing is judged here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from insight_edge.stats.binomial import binomial_tail
from insight_edge.stats.early_stopping import most_above, queries_needed
from insight_edge.stats.interval import Block, student_quantile

CONFIDENCE: Final = 0.95
"""Of the interval."""

_HALVINGS = 40

Ordered = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Tail:
    """A percentile, in the unit of the latencies.

    Attributes:
        value: the smallest latency that the share of all does not exceed.
        low, high: its two-sided 95 % interval.
        at_most: what the true percentile does not exceed, at 99 % confidence, where one query
            says nothing about the next (MLPerf's early stopping estimate).
    """

    value: float
    low: float
    high: float
    at_most: float


def percentile(blocks: Sequence[Block], share: float) -> Tail | None:
    """Return a percentile over all rounds; None where there are too few latencies for it.

    The interval is one of order statistics, so it holds whatever the distribution. It counts
    only as many latencies as the rounds show to be independent: what disturbs one latency
    disturbs the next.

    Args:
        blocks: latencies by round; `inf` for a query that was never answered.
        share: 0 to 1.

    Raises:
        ValueError: not 0 < share < 1.
    """
    held = [block.astype(np.float64) for block in blocks if len(block)]
    ordered = np.sort(np.concatenate(held)) if held else np.empty(0)
    count = len(ordered)
    if count < queries_needed(share):
        return None
    value = float(ordered[_place(share, count)])
    low, high = _share_interval(share, _independent(held, value, share))
    return Tail(
        value=value,
        low=float(ordered[max(0, int(low * count) - 1)]),
        high=float(ordered[min(count - 1, int(np.ceil(high * count)))]),
        at_most=float(ordered[count - most_above(count, share)]),
    )


def _place(share: float, count: int) -> int:
    """Return the index of a percentile among so many in rising order."""
    return max(0, int(np.ceil(share * count - 1e-9)) - 1)


def _independent(held: Sequence[Ordered], value: float, share: float) -> float:
    """Return how many independent latencies would know the share as well as these rounds do.

    It follows from how much the shares of rounds differ, and is less for few rounds, after
    E. L. Korn and B. I. Graubard, Survey Methodology 24 (1998).
    """
    sizes = np.array([len(own) for own in held], np.float64)
    count, rounds = float(sizes.sum()), len(held)
    if rounds == 1:
        return count
    within = np.array([float((own <= value).sum()) for own in held])
    excess = within - sizes * within.sum() / count
    variance = rounds / (rounds - 1) * float((excess**2).sum()) / count**2
    if variance <= share * (1 - share) / count:
        return count
    known = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) / student_quantile(rounds - 1, CONFIDENCE)
    return min(count, share * (1 - share) / variance * known**2)


def _share_interval(share: float, count: float) -> tuple[float, float]:
    """Return the exact interval of a share of so many (Clopper and Pearson, Biometrika 1934)."""
    chance, within = (1 - CONFIDENCE) / 2, share * count
    low = _first(lambda at: 1 - binomial_tail(within - 1, count, at) >= chance) if count > 1 else 0
    return low, _first(lambda at: binomial_tail(within, count, at) <= chance)


def _first(holds: Callable[[float], bool]) -> float:
    """Return the first share for which something holds that then goes on to hold."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
