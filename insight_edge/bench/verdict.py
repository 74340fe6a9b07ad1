# SPDX-License-Identifier: Apache-2.0
"""Whether a measurement may be used: pure."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.disturbance import disturbances
from insight_edge.bench.doubt import Doubt, settled
from insight_edge.documents.evidence import Interval, MeasurementVerdict, Noise

Blocks = Sequence[NDArray[np.int64]]

MIN_ROUNDS = 5
"""Fewer rounds make no interval: five give the bootstrap 126 different resamples."""

MIN_ITERATIONS = 50
MAX_INTERVAL_SHARE = 0.10
"""A p50 known to 10 % cannot tell targets apart that differ by less; then it is NOISY."""


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


def _invalid(rounds: int, iterations: int, p50: Interval) -> list[Doubt]:
    reasons = []
    if rounds < MIN_ROUNDS:
        reasons.append(f"{rounds} rounds, {MIN_ROUNDS} are needed")
    if iterations < MIN_ITERATIONS:
        reasons.append(f"{iterations} inferences, {MIN_ITERATIONS} are needed")
    if p50.value <= 0:
        reasons.append("the clock is too coarse")
    return [Doubt("INVALID", reason) for reason in reasons]
