# SPDX-License-Identifier: Apache-2.0
"""How much worse one model is than another on the same rows, at most.

Both answered every row, so only rows where just one of them is right count: a
*loss* where only the source is, a *gain* where only the target is. Pure
counting; the budget and the verdict are somebody else's.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from insight_edge.stats.binomial import binomial_tail

CONFIDENCE = 0.95
MAX_ROWS = 10**9
"""What `rows_needed` answers where no number of rows would do."""

_STEPS = 60


@dataclass(frozen=True, kw_only=True)
class PairedLoss:
    """The paired difference of two proportions, as shares of 1.

    Attributes:
        rows: that both answered.
        losses, gains: rows that only the source, only the target has right.
        drop: measured, (losses - gains) / rows.
        upper: its one-sided upper bound.
    """

    rows: int
    losses: int
    gains: int
    drop: float
    upper: float


def loss_bound(
    source_correct: NDArray[np.bool_],
    target_correct: NDArray[np.bool_],
    *,
    confidence: float = CONFIDENCE,
) -> PairedLoss:
    """Return the paired loss of the target on the same rows, bool[rows] each.

    Raises:
        ValueError: the two are not of one length.
    """
    if source_correct.shape != target_correct.shape or source_correct.ndim != 1:
        raise ValueError(f"{source_correct.shape} rows against {target_correct.shape}")
    rows = len(source_correct)
    losses = int((source_correct & ~target_correct).sum())
    gains = int((target_correct & ~source_correct).sum())
    return PairedLoss(
        rows=rows,
        losses=losses,
        gains=gains,
        drop=(losses - gains) / rows if rows else 0.0,
        upper=upper_bound(rows, losses, gains, confidence=confidence),
    )


def upper_bound(rows: int, losses: int, gains: int, *, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided upper bound of the loss; 1 where there are no rows, never below 0.

    The largest difference that Tango's score test does not reject (T. Tango, Statistics in
    Medicine 17, 1998), or the exact bound of the lost rows alone less the measured gain where
    that is larger: few rows lost are where the score test is too sure of itself.

    Raises:
        ValueError: counts are negative or more than the rows.
    """
    if min(rows, losses, gains) < 0 or losses + gains > rows:
        raise ValueError(f"{losses} losses and {gains} gains of {rows} rows")
    low, high = (losses - gains) / rows if rows else 1.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _rejects(rows, losses, gains, middle, confidence=confidence):
            high = middle
        else:
            low = middle
    return max(0.0, high)


def rows_needed(
    rows: int, losses: int, gains: int, *, budget: float, confidence: float = CONFIDENCE
) -> int:
    """Return the least number of rows in all that proves the budget at the rates seen so far.

    `MAX_ROWS` where none up to there does, as when the measured loss is the budget or more. The
    rates are applied without rounding to whole rows, so any larger number would do as well.
    """
    loss_rate, gain_rate = (losses / rows, gains / rows) if rows else (0.0, 0.0)
    if loss_rate - gain_rate >= budget:
        return MAX_ROWS

    def proves(total: int) -> bool:
        return _rejects(total, loss_rate * total, gain_rate * total, budget, confidence=confidence)

    low, high = 0, 1
    while not proves(high):
        low, high = high, high * 2
        if high > MAX_ROWS:
            return MAX_ROWS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high


def _rejects(
    rows: int, losses: float, gains: float, difference: float, *, confidence: float
) -> bool:
    """Return whether both tests reject a loss of `difference`; counts need not be whole."""
    exact = binomial_tail(losses, rows, difference + gains / rows) if rows else 1.0
    z = NormalDist().inv_cdf(confidence)
    return exact <= 1 - confidence and _score(rows, losses, gains, difference) <= -z


def _score(rows: int, losses: float, gains: float, difference: float) -> float:
    """Return Tango's statistic for the hypothesis that the loss is `difference`."""
    a = 2 * rows
    b = -losses - gains + (2 * rows - losses + gains) * difference
    c = -gains * difference * (1 - difference)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = rows * (2 * share + difference * (1 - difference))
    return (losses - gains - rows * difference) / math.sqrt(variance) if variance > 0 else 0.0
