# SPDX-License-Identifier: Apache-2.0
"""By how much paired values differ, with an interval that is exact by their signs alone.

F. Wilcoxon's signed ranks (Biometrics Bulletin 1, 1945), turned into an estimate and an interval by
J. L. Hodges and E. L. Lehmann (Annals of Mathematical Statistics 34, 1963). All that is taken for
granted is that each difference might as well have had the other sign about the true one. Where it
was drawn by lot which of two like things came first, the lot makes that so: whatever disturbed
them, for as long and as unevenly as it may, an interval then leaves out 0 no more often than it
says. Nothing is drawn here.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from insight_edge.stats.interval import Estimate

Values = Sequence[float] | NDArray[np.float64]


def signed_rank_interval(differences: Values, *, confidence: float = 0.95) -> Estimate:
    """Return the Hodges-Lehmann estimate of differences, and its exact interval.

    Fewer than `pairs_needed` reach no such confidence: the ends are then the least and the largest
    difference.

    Args:
        differences: of pairs that do not know of each other, at least one.
        confidence: two-sided.

    Raises:
        ValueError: there is none.
    """
    averages = np.sort(_averages(differences))
    left_out = max(0, _most_below(len(differences), (1 - confidence) / 2))
    return float(np.median(averages)), float(averages[left_out]), float(averages[-1 - left_out])


def signed_rank_p(differences: Values) -> float:
    """Return the two-sided p-value of no difference; at most 1 - c where c's interval leaves out 0.

    Raises:
        ValueError: there is none.
    """
    averages = _averages(differences)
    least = min(int((averages <= 0).sum()), int((averages >= 0).sum()))
    return min(1.0, 2 * float(_cumulated(len(differences))[least]))


def pairs_needed(confidence: float = 0.95) -> int:
    """Return how many pairs an interval takes: 6 for 0.95.

    Raises:
        ValueError: not 0 < confidence < 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"no interval has a confidence of {confidence}")
    return int(np.ceil(1 - np.log2(1 - confidence)))


def _averages(differences: Values) -> NDArray[np.float64]:
    """Return the means of all pairs of differences, each with itself too."""
    values = np.asarray(differences, np.float64)
    if not len(values):
        raise ValueError("there must be a pair")
    one, other = np.triu_indices(len(values))
    return np.asarray((values[one] + values[other]) / 2)


def _most_below(count: int, tail: float) -> int:
    """Return the largest rank sum that a chance of `tail` does not exceed; -1 for none."""
    return int(np.searchsorted(_cumulated(count), tail, side="right")) - 1


@lru_cache(maxsize=16)
def _cumulated(count: int) -> NDArray[np.float64]:
    """Return the chance of each rank sum or less, where each rank counts or not by a coin."""
    chances = np.ones(1)
    for rank in range(1, count + 1):
        wider = np.zeros(len(chances) + rank)
        wider[: len(chances)] = chances / 2
        wider[rank:] += chances / 2
        chances = wider
    return np.minimum(np.cumsum(chances), 1.0)
