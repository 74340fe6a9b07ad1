# SPDX-License-Identifier: Apache-2.0
"""Where a series changes its level, and from where on it keeps one.

Pruned exact linear time (PELT): R. Killick, P. Fearnhead and I. A. Eckley, JASA 107 (2012), for
changes of the mean of normal values, with a penalty of three times the logarithm of the length
(the leading term of N. R. Zhang and D. O. Siegmund, Biometrics 63 (2007)). It finds the best of
all segmentations, so nothing depends on the order in which changes are looked for, and it has
been used for the warm-up of programs: E. Barrett et al., OOPSLA 2017. No clock is read here.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SHORTEST = 2
"""A level has at least so many values: one alone is an outlier."""

_MAD = 1.4826
"""Standard deviation of normal values over their median absolute deviation."""

Levels = Sequence[float] | NDArray[np.float64]


def segment_starts(levels: Levels, *, least_spread: float) -> tuple[int, ...]:
    """Return where each level of a series begins, the first at 0.

    Args:
        levels: at least one value.
        least_spread: standard deviation below which values are never said to differ.
    """
    values = np.asarray(levels, np.float64)
    if len(values) < 2 * SHORTEST:
        return (0,)
    scaled = (values - np.median(values)) / max(_spread(values), least_spread)
    return _best_starts(scaled, 3 * float(np.log(len(values))))


def steady_from(levels: Levels, *, tolerance: float, least_spread: float) -> int:
    """Return from where on a series keeps its last level.

    Levels in a row that differ from the last by no more than the tolerance count as that one.
    """
    values = np.asarray(levels, np.float64)
    starts = segment_starts(values, least_spread=least_spread)
    bounds = zip(starts, (*starts[1:], len(values)), strict=True)
    medians = [float(np.median(values[start:end])) for start, end in bounds]
    kept = len(starts) - 1
    while kept and abs(medians[kept - 1] - medians[-1]) <= tolerance:
        kept -= 1
    return starts[kept]


def _spread(values: NDArray[np.float64]) -> float:
    """Return the standard deviation within levels: changes touch few of the differences."""
    steps = np.diff(values)
    return float(_MAD * np.median(np.abs(steps - np.median(steps))) / np.sqrt(2))


def _best_starts(values: NDArray[np.float64], penalty: float) -> tuple[int, ...]:
    count = len(values)
    sums = np.concatenate([[0.0], values.cumsum()])
    squares = np.concatenate([[0.0], (values**2).cumsum()])
    best = np.full(count + 1, np.inf)
    best[0] = -penalty
    came_from = np.zeros(count + 1, np.intp)
    candidates = np.array([0])
    for end in range(SHORTEST, count + 1):
        lengths = end - candidates
        cost = squares[end] - squares[candidates] - (sums[end] - sums[candidates]) ** 2 / lengths
        total = best[candidates] + cost
        chosen = int(total.argmin())
        best[end] = total[chosen] + penalty
        came_from[end] = candidates[chosen]
        candidates = np.append(candidates[total <= best[end]], end - SHORTEST + 1)
    return _walked_back(came_from)


def _walked_back(came_from: NDArray[np.intp]) -> tuple[int, ...]:
    starts = [int(came_from[-1])]
    while starts[-1]:
        starts.append(int(came_from[starts[-1]]))
    return tuple(reversed(starts))
