# SPDX-License-Identifier: Apache-2.0
"""Whether one tool's runs say what another's say, and whether they repeat: pure."""

from collections.abc import Sequence

import numpy as np

from benchmarks.figure import Verdict
from insight_edge.bench.verdict import MIN_ROUNDS
from insight_edge.stats.interval import Estimate, median_interval

DRAWS = 1000
TAIL = 0.025
"""Of either side of a 95 % interval."""


def outside(own: Sequence[float], theirs: Sequence[float], rounding: float) -> Estimate:
    """Return by how many per cent the median of own runs lies outside the spread of theirs.

    Args:
        own: a figure of each run.
        theirs: the same.
        rounding: half of the last digit that theirs are told with, by which the spread is wider.

    Returns:
        0 inside; the interval has the distances of all within the median's bootstrap interval.
    """
    value, low, high = median_interval([np.array([one]) for one in own])
    least, most = min(theirs) - rounding, max(theirs) + rounding
    far = [_distance(at, least, most) for at in (low, high)]
    nearest = 0.0 if low <= most and high >= least else min(far)
    return _distance(value, least, most), nearest, max(far)


def judge_outside(found: Estimate, valid: int) -> Verdict:
    """Return WITHIN for a median inside, OVER where its whole interval is outside, else NOISY.

    Args:
        found: by `outside`.
        valid: runs that ours called VALID; with too few it has said itself that it knows nothing.
    """
    value, low, _ = found
    if valid < MIN_ROUNDS:
        return "NOISY"
    if value <= 0:
        return "WITHIN"
    return "OVER" if low > 0 else "NOISY"


def variation(runs: Sequence[float], seed: int = 0) -> Estimate:
    """Return the standard deviation of runs in per cent of their mean, and its bootstrap interval.

    Fewer than two do not vary: 0.
    """
    if len(runs) < 2:
        return 0.0, 0.0, 0.0
    taken = np.asarray(runs, np.float64)
    drawn = np.random.default_rng(seed).choice(taken, (DRAWS, len(taken)))
    low, high = np.quantile(_variation(drawn), (TAIL, 1 - TAIL))
    return float(_variation(taken[None])[0]), float(low), float(high)


def judge_variation(found: Estimate, runs: int, bar: float) -> Verdict:
    """Return WITHIN where runs that were called VALID vary by no more than the bar.

    OVER where even the interval's lower end is above it; NOISY otherwise, and where too few runs
    were called VALID for anybody to be misled.
    """
    value, low, _ = found
    if runs < MIN_ROUNDS:
        return "NOISY"
    if value <= bar:
        return "WITHIN"
    return "OVER" if low > bar else "NOISY"


def _variation(runs: np.ndarray) -> np.ndarray:
    spread: np.ndarray = 100 * runs.std(axis=1, ddof=1) / runs.mean(axis=1)
    return spread


def _distance(value: float, least: float, most: float) -> float:
    return 100 * max(0.0, (least - value) / least, (value - most) / most)
