# SPDX-License-Identifier: Apache-2.0
"""Intervals around estimates: a proportion, a median latency, a ratio of two latencies.

Latencies are disturbed for seconds at a time, so single ones are not
independent: the bootstrap resamples whole rounds. Seeded; no clock, no verdict.
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.floating] | NDArray[np.integer]
Estimate = tuple[float, float, float]
"""Value, lower and upper end."""

DRAWS = 2000


def wilson(successes: int, total: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided score interval of a proportion; 0 to 1 where nothing was tried.

    E. B. Wilson, Journal of the American Statistical Association 22 (1927).

    Raises:
        ValueError: not 0 <= successes <= total.
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total}")
    if not total:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = successes / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * (share * (1 - share) / total + spread / (4 * total)) ** 0.5
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == total else min(1.0, centre + half)
    return low, high


def median_interval(
    blocks: Sequence[Block], *, confidence: float = 0.95, seed: int = 0, draws: int = DRAWS
) -> Estimate:
    """Return the median of the rounds' medians, and its bootstrap interval over rounds.

    Raises:
        ValueError: there is no block, or an empty one.
    """
    medians = _medians(blocks)
    resampled = np.median(medians[_resampling(len(medians), seed, draws)], axis=1)
    return (float(np.median(medians)), *_ends(resampled, len(medians), confidence))


def ratio_interval(
    numerator: Sequence[Block],
    denominator: Sequence[Block],
    *,
    confidence: float = 0.95,
    seed: int = 0,
    draws: int = DRAWS,
) -> Estimate:
    """Return the median over rounds of the ratio of medians, and its bootstrap interval.

    Block i of either side was measured in round i, so what slowed the machine down
    then cancels.

    Raises:
        ValueError: the sides have different numbers of blocks, none, or an empty one, or a
            median to divide by is not positive.
    """
    if len(numerator) != len(denominator):
        raise ValueError(f"{len(numerator)} blocks against {len(denominator)}")
    divisors = _medians(denominator)
    if not (divisors > 0).all():
        raise ValueError("a median latency that is not positive has no ratio to it")
    ratios = _medians(numerator) / divisors
    resampled = np.median(ratios[_resampling(len(ratios), seed, draws)], axis=1)
    return (float(np.median(ratios)), *_ends(resampled, len(ratios), confidence))


def student_quantile(free: int, confidence: float) -> float:
    """Return the two-sided quantile of Student's distribution (Abramowitz and Stegun 26.7.5)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    student = z + (z**3 + z) / (4 * free)
    student += (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    return student + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)


def _medians(blocks: Sequence[Block]) -> NDArray[np.float64]:
    if not blocks or not all(len(block) for block in blocks):
        raise ValueError("every round needs at least one latency, and there must be a round")
    return np.array([float(np.median(block)) for block in blocks])


def _resampling(rounds: int, seed: int, draws: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, rounds, (draws, rounds))


def _ends(resampled: NDArray[np.float64], rounds: int, confidence: float) -> tuple[float, float]:
    tail = _tail(rounds, confidence)
    low, high = np.quantile(resampled, (tail, 1 - tail))
    return float(low), float(high)


def _tail(rounds: int, confidence: float) -> float:
    """Return the share of resamples to leave out at either end.

    Resamples of a few rounds spread less than the rounds do, so it is less than half of what
    the confidence leaves: the expanded percentile interval of T. Hesterberg, The American
    Statistician 69 (2015).
    """
    if rounds == 1:
        return 0.0
    student = student_quantile(rounds - 1, confidence)
    return NormalDist().cdf(-student * (rounds / (rounds - 1)) ** 0.5)
