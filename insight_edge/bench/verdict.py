# SPDX-License-Identifier: Apache-2.0
"""Whether a measurement may be used, and what two of them say of each other: pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.disturbance import disturbances
from insight_edge.bench.doubt import Doubt, settled
from insight_edge.bench.percentiles import USUAL, name_of, percentile_doubts, percentiles_of
from insight_edge.bench.scenarios.load import load_doubts
from insight_edge.bench.scenarios.scenario import SINGLE_STREAM, Scenario
from insight_edge.documents.evidence import (
    Comparison,
    ComparisonVerdict,
    Interval,
    Measurement,
    MeasurementVerdict,
    Noise,
)
from insight_edge.documents.measured import Load, Mode, Sustained, WarmUp
from insight_edge.stats.interval import median_interval, ratio_interval
from insight_edge.stats.modes import two_modes

Blocks = Sequence[NDArray[np.int64]]
Latencies = Sequence[NDArray[np.int64]] | Sequence[NDArray[np.float64]]

MIN_ROUNDS = 5
"""Fewer rounds make no interval: five give the bootstrap 126 different resamples."""

MIN_LAUNCHES = 5
"""Of fewer than five, all lie on one side by chance more often than once in sixteen times."""

MIN_ITERATIONS = 50
MAX_INTERVAL_SHARE = 0.10
"""A p50 known to 10 % cannot tell targets apart that differ by less; then it is NOISY."""

MAX_RATIO_SHARE = 0.10
"""A ratio known to no better than this that does not exclude 1 says nothing."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """How rounds were taken, and what is known about them besides.

    Attributes:
        scenario: how it was asked, with as many rows a query as it has.
        threads, load_ms, first_ms, peak_rss_bytes, noise, warm_up, load: as in a `Measurement`.
        bound: the machine is not of the profile's class.
        percents: percentiles that were asked for; the usual ones, where supported, for none.
        sustained: how a long run kept its speed.
        doubts: against the measurement.
    """

    scenario: Scenario = SINGLE_STREAM
    threads: int
    load_ms: float
    first_ms: float
    peak_rss_bytes: int
    noise: Noise
    warm_up: WarmUp | None = None
    load: Load | None = None
    bound: bool = False
    percents: Sequence[float] = ()
    sustained: Sustained | None = None
    doubts: Sequence[Doubt] = ()


def measurement_from_blocks(latencies: Latencies, taken: Taken) -> Measurement:
    """Return the measurement that rounds of latencies in ns make, with its verdict.

    A query that was never answered has a latency of `inf`; it counts in percentiles alone.

    Raises:
        ValueError: no query was answered.
    """
    blocks, scenario = answered_blocks(latencies), taken.scenario
    value, low, high = (end / 1e6 for end in median_interval(blocks))
    answered = np.concatenate(blocks)
    p50 = Interval(value=value, low=low, high=high)
    percentiles = percentiles_of(latencies, taken.percents or USUAL)
    throughput = _throughput_per_s(blocks, scenario)
    asked = sum(len(block) for block in latencies)
    doubts = (
        *percentile_doubts(asked, taken.percents, percentiles),
        *_doubts(value, throughput, taken),
    )
    verdict, reasons = judge(len(blocks), len(answered), p50, taken.noise, doubts)
    return Measurement(
        scenario=scenario.name,
        rows=scenario.rows,
        region=scenario.region,
        iterations=len(answered),
        rounds=len(blocks),
        threads=taken.threads,
        p50_ms=p50,
        mean_ms=float(answered.mean()) / 1e6,
        percentiles_ms={name_of(one.percent): one.value_ms for one in percentiles},
        percentiles=percentiles,
        modes=_modes(answered),
        load_ms=taken.load_ms,
        first_ms=taken.first_ms,
        peak_rss_bytes=taken.peak_rss_bytes,
        warm_up=taken.warm_up,
        throughput_per_s=throughput,
        load=taken.load,
        sustained=taken.sustained,
        kind="bound" if taken.bound else "measured",
        noise=taken.noise,
        verdict=verdict,
        reasons=reasons,
    )


def answered_blocks(latencies: Latencies) -> tuple[NDArray[np.int64], ...]:
    """Return the latencies of queries that were answered, of rounds that have any."""
    kept = (block[np.isfinite(block)].astype(np.int64) for block in latencies)
    return tuple(block for block in kept if len(block))


def round_spread(blocks: Blocks) -> float:
    """Return by which share the slowest round's median is above the fastest's."""
    medians = [float(np.median(block)) for block in blocks]
    return max(medians) / min(medians) - 1 if min(medians) > 0 else 0.0


def judge(
    rounds: int, iterations: int, p50: Interval, noise: Noise, doubts: Iterable[Doubt] = ()
) -> tuple[MeasurementVerdict, tuple[str, ...]]:
    """Return the verdict of a measurement, doubted besides or not, and every reason for it."""
    own = *_invalid(rounds, iterations, p50), *_wide("p50", p50)
    return settled((*own, *disturbances(noise, iterations), *doubts))


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


def _modes(latencies_ns: NDArray[np.int64]) -> tuple[Mode, ...]:
    found = two_modes(latencies_ns) or ()
    return tuple(Mode(at_ms=one.at / 1e6, share=one.share) for one in found)


def _doubts(p50_ms: float, throughput: Interval | None, taken: Taken) -> list[Doubt]:
    loaded = load_doubts(taken.scenario, taken.load, p50_ms) if taken.load else ()
    wide = _wide("throughput", throughput) if taken.scenario.name == "offline" else []
    return [*loaded, *wide, *_unsteady(taken.warm_up), *taken.doubts]


def _wide(name: str, estimate: Interval | None) -> list[Doubt]:
    if estimate is None or estimate.value <= 0:
        return []
    width = (estimate.high - estimate.low) / estimate.value
    told = f"the {name} is known to {width:.0%} only"
    return [Doubt("NOISY", told)] if width > MAX_INTERVAL_SHARE else []


def _throughput_per_s(blocks: Blocks, scenario: Scenario) -> Interval | None:
    """Return rows a second of the timed region, with an interval over rounds."""
    seconds = [float(block.sum()) / 1e9 for block in blocks]
    if scenario.rate_per_s is not None or min(seconds) <= 0:
        return None
    rates = [scenario.rows * len(b) / s for b, s in zip(blocks, seconds, strict=True)]
    value, low, high = median_interval([np.array([rate]) for rate in rates])
    return Interval(value=value, low=low, high=high)


def _unsteady(warm_up: WarmUp | None) -> list[Doubt]:
    if warm_up is None or warm_up.steady:
        return []
    told = f"not steady after {warm_up.duration_s:.3g} s of warm-up, {warm_up.calls} calls"
    return [Doubt("NOISY", told)]
