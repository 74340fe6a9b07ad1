# SPDX-License-Identifier: Apache-2.0
"""The measurement that rounds of latencies make: pure.

Whether it may be used is said by `bench.verdict`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.doubt import Doubt
from insight_edge.bench.percentiles import USUAL, name_of, percentile_doubts, percentiles_of
from insight_edge.bench.scenarios.load import load_doubts
from insight_edge.bench.scenarios.scenario import SINGLE_STREAM, Scenario
from insight_edge.bench.verdict import Blocks, judge, wide_interval
from insight_edge.documents.evidence import Interval, Measurement, Noise
from insight_edge.documents.measured import Energy, Load, Mode, Sustained, WarmUp
from insight_edge.stats.interval import median_interval
from insight_edge.stats.modes import two_modes

Latencies = Sequence[NDArray[np.int64]] | Sequence[NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Alone:
    """What a subject was run alone for; nothing where nothing was asked for.

    Attributes:
        sustained, energy, energy_absent: as in a `Measurement`.
        doubts: against it, of the sustained run.
    """

    sustained: Sustained | None = None
    energy: tuple[Energy, ...] = ()
    energy_absent: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()


NOTHING: Final = Alone()


@dataclass(frozen=True, kw_only=True)
class Taken:
    """How rounds were taken, and what is known about them besides.

    Attributes:
        scenario: how it was asked, with as many rows a query as it has.
        threads, load_ms, first_ms, peak_rss_bytes, engine_bytes, noise, warm_up, load: as in a
            `Measurement`.
        bound: the machine is not of the profile's class.
        percents: percentiles that were asked for; the usual ones, where supported, for none.
        alone: what it was run alone for.
        doubts: against the measurement.
    """

    scenario: Scenario = SINGLE_STREAM
    threads: int
    load_ms: float
    first_ms: float
    peak_rss_bytes: int
    engine_bytes: int | None = None
    noise: Noise
    warm_up: WarmUp | None = None
    load: Load | None = None
    bound: bool = False
    percents: Sequence[float] = ()
    alone: Alone = NOTHING
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
        engine_bytes=taken.engine_bytes,
        warm_up=taken.warm_up,
        throughput_per_s=throughput,
        load=taken.load,
        sustained=taken.alone.sustained,
        energy=taken.alone.energy,
        energy_absent=taken.alone.energy_absent,
        kind="bound" if taken.bound else "measured",
        noise=taken.noise,
        verdict=verdict,
        reasons=reasons,
    )


def answered_blocks(latencies: Latencies) -> tuple[NDArray[np.int64], ...]:
    """Return the latencies of queries that were answered, of rounds that have any."""
    kept = (block[np.isfinite(block)].astype(np.int64) for block in latencies)
    return tuple(block for block in kept if len(block))


def _doubts(p50_ms: float, throughput: Interval | None, taken: Taken) -> list[Doubt]:
    loaded = load_doubts(taken.scenario, taken.load, p50_ms) if taken.load else ()
    wide = wide_interval("throughput", throughput) if taken.scenario.name == "offline" else []
    return [*loaded, *wide, *_unsteady(taken.warm_up), *taken.alone.doubts, *taken.doubts]


def _modes(latencies_ns: NDArray[np.int64]) -> tuple[Mode, ...]:
    found = two_modes(latencies_ns) or ()
    return tuple(Mode(at_ms=one.at / 1e6, share=one.share) for one in found)


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
