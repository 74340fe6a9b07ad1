# SPDX-License-Identifier: Apache-2.0
"""How many queries a percentile takes, and how many of them may lie above a bound for it.

This is the early stopping of MLPerf Inference: `loadgen/early_stopping.cc` and, for the
estimate of single-stream, `loadgen/results.cc` of mlcommons/inference, at its confidence of
99 % and its tolerance of 0. No latency is looked at here.
"""

from collections.abc import Callable
from typing import Final

from insight_edge.stats.binomial import binomial_tail

CONFIDENCE: Final = 0.99


def queries_needed(share: float) -> int:
    """Return how many queries a percentile needs: 64 for 0.9, 662 for 0.99, 6636 for 0.999.

    With so many it is improbable that no more than one lies above the true percentile.

    Args:
        share: of the queries that lie below it, 0 to 1.

    Raises:
        ValueError: not 0 < share < 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"no percentile lies at a share of {share}")
    end = 2
    while not may_lie_above(1, end, share):
        end *= 2
    return first_that(lambda count: may_lie_above(1, count, share), end)


def most_above(count: int, share: float) -> int:
    """Return the largest number of `count` queries that may lie above a bound for a percentile.

    Of queries in rising order, that so many from the end is then the bound: the true percentile
    is not above it, at 99 % confidence. It is 0 where there are too few queries.
    """
    if not may_lie_above(1, count, share):
        return 0
    return first_that(lambda above: not may_lie_above(above, count, share), count) - 1


def may_lie_above(above: int, count: int, share: float) -> bool:
    """Return whether so few above the true percentile, or fewer, are too few to be chance."""
    return above < count and binomial_tail(above, count, 1 - share) <= 1 - CONFIDENCE


def first_that(holds: Callable[[int], bool], end: int) -> int:
    """Return the first of 1 to `end` for which something holds that then goes on to hold."""
    low, high = 0, end
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
