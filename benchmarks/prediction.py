# SPDX-License-Identifier: Apache-2.0
"""How far predictions are off on devices and models that nothing was measured of.

Devices are stand-ins: this machine, held back (`benchmarks.prediction_devices`); one counts
only where it differs by 25 % from every other. Every point is held out with its whole device
and its part of the models, and foretold by the product's own code: `learn`, or the datasheet
alone. The least of interleaved blocks counts, since the machine is shared. Intervals of the
figures resample models.

How costs are split was settled on networks of another seed (1), of which the shipped factors
are, too; so errors had been seen before the bars were tried. Expected of the rest: intervals
that cover 85 to 95 %, for seven devices are few; memory never said to suffice where it does not,
and 15 % of needless refusals.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure, figure_from_count, figure_from_estimate
from benchmarks.prediction_devices import STAND_INS, StandIn
from benchmarks.prediction_networks import networks
from benchmarks.prediction_points import (
    Point,
    held_out,
    observations,
    told_apart,
    unmeasured,
)
from benchmarks.prediction_taking import take_results
from insight_edge.bench.results import append_results, read_results
from insight_edge.compile.backends.openvino import OpenVinoBackend
from insight_edge.compile.sources.source import source_from_onnx
from insight_edge.documents.result import BenchResult
from insight_edge.documents.target import Target
from insight_edge.documents.workload import Workload
from insight_edge.errors import MeasurementError
from insight_edge.selection.footprint import MIB, need
from insight_edge.stats.interval import Estimate

NAME = "prediction"
SEED = 0
CALIBRATED_BAR, DATASHEET_BAR, COVERAGE_BAR, REFUSED_BAR = 15.0, 35.0, 3.0, 20.0
"""Percent, and percentage points off 90 %."""

LEAST_DEVICES, LEAST_POINTS = 6, 200
DRAWS = 500
LIMITS_MIB = tuple(2 ** (6 + i / 8) for i in range(33))
"""Memory that is asked about: 64 MiB to 1 GiB, eight to an octave."""

Tell = Callable[[str], None]
Statistic = Callable[[Sequence[Point]], float]


def take(
    place: Path, tell: Tell, *, replay: Path | None = None, keep: Path | None = None
) -> Iterator[Figure]:
    """Yield the figures.

    Args:
        place: a directory to work in.
        tell: what is being done.
        replay: file of results to take in place of measuring.
        keep: file that what is measured is added to.

    Raises:
        MeasurementError: too few devices are told apart.
    """
    drawn = networks(SEED)
    results = results_of(drawn, place, tell, replay=replay, keep=keep)
    workloads = workloads_of(drawn)
    tell("prediction: fitting")
    seen = observations(results, STAND_INS, workloads)
    devices = told_apart(seen, STAND_INS)
    seen = [one for one in seen if one.device in {device.id for device in devices}]
    if len(devices) < LEAST_DEVICES or len(seen) < LEAST_POINTS:
        raise MeasurementError(f"{len(devices)} devices and {len(seen)} points are told apart")
    calibrated, plain = list(held_out(seen)), list(unmeasured(seen))
    note = f"{len(seen)} points, {len(devices)} devices: {', '.join(d.id for d in devices)}"
    yield _off(calibrated, "calibrated", CALIBRATED_BAR, note)
    yield _off(plain, "datasheet alone", DATASHEET_BAR, f"{len(seen)} points")
    yield _coverage(calibrated, "calibrated", COVERAGE_BAR)
    yield _coverage(plain, "datasheet alone", None)
    yield from _memory(results, workloads, devices)


def results_of(
    drawn: Mapping[str, bytes],
    place: Path,
    tell: Tell,
    *,
    replay: Path | None = None,
    keep: Path | None = None,
) -> Sequence[BenchResult]:
    """Return results of networks on all stand-ins, measured or read."""
    if replay is not None:
        return read_results(replay)
    found = tuple(take_results(drawn, STAND_INS, place, lambda said: tell(f"prediction: {said}")))
    append_results(place / "results.jsonl" if keep is None else keep, found)
    return found


def workloads_of(drawn: Mapping[str, bytes]) -> dict[str, Workload]:
    """Return what networks ask, by name."""
    return {
        name: source_from_onnx(data, name=name, importer="onnx").workload
        for name, data in drawn.items()
    }


def percent_off(points: Sequence[Point]) -> float:
    """Return the mean of the absolute errors, in percent."""
    return 100 * float(np.mean([point.error for point in points]))


def percent_covered(points: Sequence[Point]) -> float:
    """Return how many measurements their intervals have, in percent."""
    return 100 * float(np.mean([point.covered for point in points]))


def over_models(points: Sequence[Point], statistic: Statistic) -> Estimate:
    """Return a statistic with its 95 % interval, resampling models whole."""
    by_model: dict[str, list[Point]] = {}
    for point in points:
        by_model.setdefault(point.seen.model, []).append(point)
    names, rng = sorted(by_model), np.random.default_rng(0)
    values = [
        statistic([p for name in rng.choice(names, len(names)) for p in by_model[name]])
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(values, (0.025, 0.975))
    return statistic(points), float(low), float(high)


def _off(points: Sequence[Point], measured: str, bar: float, note: str) -> Figure:
    return figure_from_estimate(
        over_models(points, percent_off),
        name=NAME,
        case="device and model left out",
        compared=(measured, "mean error"),
        unit="%",
        rounds=len(points),
        bar=bar,
        note=note,
    )


def _coverage(points: Sequence[Point], measured: str, bar: float | None) -> Figure:
    ends = np.array([point.foretold for point in points])
    width = float(np.median(ends[:, 2] / ends[:, 1]))
    covered, low, high = over_models(points, percent_covered)
    return figure_from_estimate(
        (abs(covered - 90), max(0.0, low - 90, 90 - high), max(90 - low, high - 90)),
        name=NAME,
        case="90 % interval",
        compared=(measured, "covered less 90 %"),
        unit="%",
        rounds=len(points),
        bar=bar,
        note=f"{covered:.1f} % [{low:.1f}, {high:.1f}] covered; high is {width:.2f} times low",
    )


def _memory(
    results: Sequence[BenchResult], workloads: Mapping[str, Workload], devices: Sequence[StandIn]
) -> Iterator[Figure]:
    target = Target(backend="openvino", precision="fp32")
    footprint = OpenVinoBackend().footprint(target)
    wrong = refused = fitting = asked = 0
    for result in results:
        if result.profile != devices[0].id:
            continue
        most = need(workloads[result.model.name], target, footprint).memory_bytes
        for limit in LIMITS_MIB:
            asked += 1
            fits = result.measurement.peak_rss_bytes <= limit * MIB
            said = most is not None and most <= limit * MIB
            wrong, fitting = wrong + (said and not fits), fitting + fits
            refused += fits and not said
    yield figure_from_count(
        wrong, name=NAME, case="memory", counted="said to fit, did not", total=asked
    )
    share = 100 * refused / max(fitting, 1)
    yield figure_from_estimate(
        (share, share, share),
        name=NAME,
        case="memory",
        compared=("needlessly refused", f"of {fitting} that fit"),
        unit="%",
        rounds=asked,
        bar=REFUSED_BAR,
    )
