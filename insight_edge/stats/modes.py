# SPDX-License-Identifier: Apache-2.0
"""Whether latencies have two modes: a model with two paths, or a machine with two speeds.

A density with one mode is nowhere between two places lower than at the lower of them. So where
a window between two others holds significantly less than either, there are two modes. Windows
are chosen on one half of the latencies and counted on the other, which keeps the test honest
whatever the distribution. More than two modes are told as two.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from insight_edge.stats.binomial import binomial_tail

LEAST_SHARE: Final = 0.05
"""Of the latencies lie in either mode: fewer are a tail, which percentiles tell."""

LEAST_RATIO: Final = 1.10
"""Of the modes: closer ones would not change what is decided."""

CHANCE: Final = 1e-3
"""That latencies with one mode are said to have two."""

DEPTH: Final = 0.5
"""The valley holds at most this share of what the lower mode does."""

_LEAST = 100
_TICKS = 10
"""Of the clock within a window: then one tick more or less in it does not matter."""

_WINDOWS = 4
"""Windows fit between the modes."""

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Mode:
    """Where latencies gather: their median, and the share of all that belongs to it."""

    at: float
    share: float


def two_modes(latencies: ArrayLike) -> tuple[Mode, Mode] | None:
    """Return the lower and the upper mode of latencies, in their order; None for one mode."""
    drawn = np.asarray(latencies, np.float64)
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    if len(drawn) < _LEAST:
        return None
    chosen, counted = np.sort(np.log(drawn[::2])), np.sort(np.log(drawn[1::2]))
    lower, upper = _gathered(chosen)
    width = (upper - lower) / _WINDOWS
    if upper - lower < np.log(LEAST_RATIO) or _ticks(drawn, lower, width) < _TICKS:
        return None
    valley = _emptiest(chosen, lower + width, upper - width, width)
    counts = [_count(counted, centre, width) for centre in (lower, valley, upper)]
    if not _is_valley(*counts):
        return None
    below = drawn < np.exp(valley)
    share = float(below.mean())
    if min(share, 1 - share) < LEAST_SHARE:
        return None
    return (
        Mode(at=float(np.median(drawn[below])), share=share),
        Mode(at=float(np.median(drawn[~below])), share=1 - share),
    )


def _gathered(ordered: Values) -> tuple[float, float]:
    """Return the medians of the two groups that differ most (Otsu's criterion), tails left out."""
    cut = int(len(ordered) * LEAST_SHARE / 2)
    inner = ordered[cut : len(ordered) - cut]
    count = len(inner)
    sums, sizes = inner.cumsum()[:-1], np.arange(1, count)
    below, above = sums / sizes, (inner.sum() - sums) / (count - sizes)
    split = int((sizes * (count - sizes) * (above - below) ** 2).argmax()) + 1
    return float(np.median(inner[:split])), float(np.median(inner[split:]))


def _ticks(drawn: Values, lower: float, width: float) -> float:
    """Return how many ticks of the clock a window at the lower mode has."""
    steps = np.diff(np.unique(drawn))
    return float(np.exp(lower) * np.expm1(width) / steps.min()) if len(steps) else 0.0


def _emptiest(ordered: Values, first: float, last: float, width: float) -> float:
    """Return the centre of the emptiest window between two, the middle one of equals."""
    centres = np.linspace(first, last, 41)
    counts = np.array([_count(ordered, centre, width) for centre in centres])
    least = np.flatnonzero(counts == counts.min())
    return float(centres[least[len(least) // 2]])


def _count(ordered: Values, centre: float, width: float) -> int:
    ends = np.searchsorted(ordered, [centre - width / 2, centre + width / 2])
    return int(ends[1] - ends[0])


def _is_valley(lower: int, valley: int, upper: int) -> bool:
    """Return whether a window holds significantly less than either of two around it."""
    least = min(lower, upper)
    return valley <= DEPTH * least and binomial_tail(valley, valley + least, 0.5) <= CHANCE
