# SPDX-License-Identifier: Apache-2.0
"""How much worse one model scores than another on the same rows, at most.

For scores from 0 to 1 that are no mere right or wrong: overlap of a segmentation,
closeness of a forecast. `paired` bounds those that are, and more tightly. Rows
are taken as independent; nothing is assumed of how their scores are distributed.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insight_edge.stats.paired import CONFIDENCE, MAX_ROWS

Scores = NDArray[np.float64]

BET = 0.9
"""Of what can be lost on one row, at most so much is staked; all would be lost on the first row
that speaks for the other side."""

ORDER_SEED = 0
"""Rows of a file may be sorted; each bet learns from those before, so they are taken in an order
that has nothing to do with what they are."""

MOST_TRIED = 2**20
"""Rows; whoever needs more is told that no number will do."""

_STEPS = 40


@dataclass(frozen=True, kw_only=True)
class ScoreLoss:
    """The paired difference of two mean scores.

    Attributes:
        rows: that both answered.
        drop: measured, mean of source minus mean of target.
        upper: its one-sided upper bound.
    """

    rows: int
    drop: float
    upper: float


def score_loss(source: Scores, target: Scores, *, confidence: float = CONFIDENCE) -> ScoreLoss:
    """Return the paired loss of the target on the same rows, f8[rows] each, 0 to 1.

    Raises:
        ValueError: the two are not of one length, or a score is not from 0 to 1.
    """
    if source.shape != target.shape or source.ndim != 1:
        raise ValueError(f"{source.shape} rows against {target.shape}")
    both = np.concatenate([source, target])
    if not bool(((both >= 0) & (both <= 1)).all()):
        raise ValueError("scores are from 0 to 1")
    losses = source - target
    return ScoreLoss(
        rows=len(losses),
        drop=float(losses.mean()) if len(losses) else 0.0,
        upper=mean_bound(losses, confidence=confidence),
    )


def mean_bound(losses: Scores, *, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided upper bound of the mean of f8[rows] from -1 to 1, never below 0.

    The largest mean that a bettor against it does not ruin, 1 without rows (I. Waudby-Smith and A.
    Ramdas, Journal of the Royal Statistical Society B 86, 2024: the predictable plug-in bets of
    section 4, for a number of rows fixed beforehand). It holds for any distribution.
    """
    rows = len(losses)
    if not rows:
        return 1.0
    shares = _shares(losses)
    stakes = _stakes(shares, confidence)
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _ruined(shares, stakes, middle, confidence):
            high = middle
        else:
            low = middle
    return max(0.0, 2 * high - 1)


def score_rows_needed(losses: Scores, *, budget: float, confidence: float = CONFIDENCE) -> int:
    """Return about how many rows in all, like these, prove a mean loss within the budget.

    `MAX_ROWS` where a million do not; without rows, as if nothing were lost.
    """
    seen = losses if len(losses) else np.zeros(1)
    if float(seen.mean()) >= budget:
        return MAX_ROWS

    def proves(total: int) -> bool:
        return _proves(np.resize(seen, total), budget, confidence)

    low, high = 0, 1
    while not proves(high):
        low, high = high, high * 2
        if high > MOST_TRIED:
            return MAX_ROWS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high


def _proves(losses: Scores, budget: float, confidence: float) -> bool:
    """Return whether the mean is at most the budget, with confidence."""
    shares = _shares(losses)
    return _ruined(shares, _stakes(shares, confidence), (1 + budget) / 2, confidence)


def _shares(losses: Scores) -> Scores:
    """Return the losses from 0 to 1, in the order in which they are bet on."""
    return (1 + np.random.default_rng(ORDER_SEED).permutation(losses)) / 2


def _stakes(shares: Scores, confidence: float) -> Scores:
    """Return what is staked on each row, from the variance of the rows before it."""
    rows = len(shares)
    count = np.arange(1, rows + 1)
    means = (0.5 + np.cumsum(shares)) / (count + 1)
    variances = (0.25 + np.cumsum((shares - means) ** 2)) / (count + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    stakes: Scores = np.sqrt(2 * math.log(1 / (1 - confidence)) / (rows * before))
    return stakes


def _ruined(shares: Scores, stakes: Scores, mean: float, confidence: float) -> bool:
    """Return whether who bets against so large a mean wins enough for it to be given up."""
    if mean >= 1:
        return True
    gains = np.minimum(stakes, BET / (1 - mean)) * (mean - shares)
    return float(np.log1p(gains).sum()) >= math.log(1 / (1 - confidence))
