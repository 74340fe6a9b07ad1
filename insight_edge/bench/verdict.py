# SPDX-License-Identifier: Apache-2.0
"""Whether a measurement may be used, and what two of them say of each other: pure."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.disturbance import disturbances
from insight_edge.bench.doubt import Doubt, settled
from insight_edge.documents.evidence import (
    Comparison,
    ComparisonVerdict,
    Interval,
    MeasurementVerdict,
    Noise,
)
from insight_edge.stats.interval import median_interval, ratio_interval

Blocks = Sequence[NDArray[np.int64]]

MIN_ROUNDS = 5
"""Fewer rounds make no interval: five give the bootstrap 126 different resamples."""

MIN_LAUNCHES = 5
"""Of fewer than five, all lie on one side by chance more often than once in sixteen times."""

MIN_ITERATIONS = 50
MAX_INTERVAL_SHARE = 0.10
"""A p50 known to 10 % cannot tell targets apart that differ by less; then it is NOISY."""

MAX_RATIO_SHARE = 0.10
"""A ratio known to no better than this that does not exclude 1 says nothing."""


def round_spread(blocks: Blocks) -> float:
    """Return by which share the slowest round's median is above the fastest's."""
    medians = [float(np.median(block)) for block in blocks]
    return max(medians) / min(medians) - 1 if min(medians) > 0 else 0.0


def judge(
    rounds: int, iterations: int, p50: Interval, noise: Noise, doubts: Iterable[Doubt] = ()
) -> tuple[MeasurementVerdict, tuple[str, ...]]:
    """Return the verdict of a measurement, doubted besides or not, and every reason for it."""
    own = *_invalid(rounds, iterations, p50), *wide_interval("p50", p50)
    return settled((*own, *disturbances(noise, iterations), *doubts))


def wide_interval(name: str, estimate: Interval | None) -> list[Doubt]:
    """Return the doubt about an estimate whose interval is too wide to decide by."""
    if estimate is None or estimate.value <= 0:
        return []
    width = (estimate.high - estimate.low) / estimate.value
    told = f"the {name} is known to {width:.0%} only"
    return [Doubt("NOISY", told)] if width > MAX_INTERVAL_SHARE else []


def comparison_from_launches(
    a: Sequence[Blocks], b: Sequence[Blocks], *, names: tuple[str, str]
) -> Comparison:
    """Return what launches, each of interleaved rounds of latencies in ns, say of b against a.

    Within a launch the ratio is the median over its rounds, so what slowed the
    machine down in a round cancels. The interval resamples launches: a process
    keeps for its life the addresses it was given, and on small models they alone
    make two processes of one bundle differ by some percent.

    Raises:
        ValueError: the sides have different numbers of launches or rounds, none, or an empty one.
    """
    ratios = [_ratio(*pair) for pair in zip(a, b, strict=True)]
    ratio = _median_over(ratios)
    return Comparison(
        a=names[0],
        b=names[1],
        a_p50_ms=_median_over([_p50_ms(blocks) for blocks in a]),
        b_p50_ms=_median_over([_p50_ms(blocks) for blocks in b]),
        ratio=ratio,
        launches=len(a),
        rounds=len(a[0]),
        verdict=_compared(len(a), ratio),
    )


def _ratio(a: Blocks, b: Blocks) -> float:
    return ratio_interval(b, a, draws=1)[0]


def _p50_ms(blocks: Blocks) -> float:
    return median_interval(blocks, draws=1)[0] / 1e6


def _median_over(launches: Sequence[float]) -> Interval:
    value, low, high = median_interval([np.array([one]) for one in launches])
    return Interval(value=value, low=low, high=high)


def _compared(launches: int, ratio: Interval) -> ComparisonVerdict:
    if launches < MIN_LAUNCHES:
        return "NOISY"
    if ratio.high < 1:
        return "faster"
    if ratio.low > 1:
        return "slower"
    return "no difference" if ratio.high - ratio.low <= MAX_RATIO_SHARE else "NOISY"


def _invalid(rounds: int, iterations: int, p50: Interval) -> list[Doubt]:
    reasons = []
    if rounds < MIN_ROUNDS:
        reasons.append(f"{rounds} rounds, {MIN_ROUNDS} are needed")
    if iterations < MIN_ITERATIONS:
        reasons.append(f"{iterations} inferences, {MIN_ITERATIONS} are needed")
    if p50.value <= 0:
        reasons.append("the clock is too coarse")
    return [Doubt("INVALID", reason) for reason in reasons]
