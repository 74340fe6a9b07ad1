# SPDX-License-Identifier: Apache-2.0
"""Does `insight-edge bench` say what the engines' own benchmark programs say?

One model, built for three engines. Each program runs ten times on the very artifact that our
bundle ships: one thread, one stream, one request at a time, single precision, as many timed
inferences, one processor that all are pinned to. Ours runs ten times with each engine. Each run is
a program of its own, in an order drawn by lot for each of ten rounds. Compared is what the other
program tells: its median, or its mean where it has no other; ours of the same kind is computed of
the samples that `bench -o` keeps.

The median of our runs that were called VALID has to lie within the spread (least to most) of ten of
theirs, and they may vary by 3 % (1 % on a quiet machine, which is told). With fewer than five VALID
ones every figure is NOISY: ours has said so itself. Theirs have no interval and no verdict.

Expected (written before the first run, on two processors that others use too): inside with
`benchmark_app`, `onnxruntime_test` and Olive, whose timed region is ours but for a copy of 48 KB;
`litert-benchmark` keeps its arrays in the engine and may be below ours by a per cent or two; most
of our runs NOISY here, VALID ones within 3 %.
"""

import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from benchmarks.bundles import ONNXRUNTIME, OPENVINO, compile_bundle, whole_machine, write_model
from benchmarks.field_rivals import NOT_HERE, RIVALS, Asked, Rival, Statistic, run
from benchmarks.field_spread import judge_outside, judge_variation, outside, variation
from benchmarks.figure import Figure, Verdict, figure_from_estimate, figure_not_taken
from benchmarks.networks import SHAPES, Kind
from insight_edge.bench.results import read_results
from insight_edge.bench.verdict import MIN_ROUNDS
from insight_edge.documents.result import BenchResult
from insight_edge.documents.target import Target
from insight_edge.errors import InsightEdgeError, MeasurementError
from insight_edge.stats.interval import Estimate

NAME = "field"
KIND: Kind = "camera"
RUNS = 10
TIMES = 750
"""Timed inferences of a run: a second and a half of this model."""

MOST_VARIATION, QUIET_VARIATION = 3.0, 1.0
"""Per cent that runs called VALID may vary by: where others use the machine too, and where not."""

OURS = "insight-edge bench"
TARGETS = (ONNXRUNTIME, OPENVINO, Target(backend="tflite", precision="fp32"))

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Contender:
    """One program on one engine: ours where there is no rival."""

    engine: str
    rival: Rival | None = None


def take(place: Path, tell: Tell) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in.

    Raises:
        InsightEdgeError: a bundle could not be made or measured.
    """
    tell(f"field: compiling the {KIND} model for {len(TARGETS)} engines")
    model = write_model(KIND, place)
    bundles, absent = _bundles(model)
    own, theirs = _taken(bundles, absent, place, tell)
    for rival in RIVALS:
        if rival.name not in absent:
            yield _beside(rival, own[rival.engine], theirs[rival.name])
    for engine, runs in own.items():
        yield _repeated(engine, runs)
    for rival in RIVALS:
        if rival.name not in absent:
            yield _theirs_repeated(rival, theirs[rival.name])
    for name, reason in (absent | NOT_HERE).items():
        yield figure_not_taken(NAME, f"{KIND} model", measured=OURS, peer=name, reason=reason)


def _bundles(model: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the bundle of each engine, and the reasons of rivals whose engine has none."""
    profile = whole_machine()
    made: dict[str, Path] = {}
    absent: dict[str, str] = {}
    for target in TARGETS:
        try:
            made[target.backend] = compile_bundle(model, target, profile).bundle
        except InsightEdgeError as error:
            rivals = [one.name for one in RIVALS if one.engine == target.backend]
            absent |= dict.fromkeys(rivals, f"no {target.token} here: {error}")
    return made, absent


def _taken(
    bundles: Mapping[str, Path], absent: dict[str, str], place: Path, tell: Tell
) -> tuple[dict[str, list[BenchResult]], dict[str, list[float]]]:
    """Return what all runs said; a rival that cannot be run goes to those that are absent."""
    contenders = [_Contender(engine=engine) for engine in bundles]
    contenders += [_Contender(engine=one.engine, rival=one) for one in RIVALS]
    own: dict[str, list[BenchResult]] = defaultdict(list)
    theirs: dict[str, list[float]] = defaultdict(list)
    cpu = max(os.sched_getaffinity(0))
    for at in range(RUNS):
        for one in random.sample(contenders, len(contenders)):
            if one.rival is None:
                tell(f"field: run {at + 1} of {RUNS}: {OURS}, {one.engine}")
                own[one.engine].append(_ours(bundles[one.engine], cpu, place))
            elif one.rival.name not in absent:
                tell(f"field: run {at + 1} of {RUNS}: {one.rival.name}")
                try:
                    asked = _asked(bundles[one.engine], place)
                    with _pinned(cpu):
                        theirs[one.rival.name].append(run(one.rival, asked))
                except InsightEdgeError as error:
                    absent[one.rival.name] = str(error)
    return own, theirs


def _ours(bundle: Path, cpu: int, place: Path) -> BenchResult:
    """Run the verb once and return the line that it wrote."""
    program, kept = Path(sys.executable).with_name("insight-edge"), place / "ours.jsonl"
    kept.unlink(missing_ok=True)
    with _pinned(cpu):
        done = subprocess.run(
            [
                str(program), "bench", str(bundle), "--threads", "1", "--cpus", str(cpu),
                "--iterations", str(TIMES), "--no-strict", "-o", str(kept),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )  # fmt: skip
    if done.returncode:
        raise MeasurementError(f"{OURS}: {done.stderr.strip()}")
    return read_results(kept)[-1]


def _asked(bundle: Path, place: Path) -> Asked:
    (artifact,) = (
        path for ending in ("onnx", "xml", "tflite") for path in bundle.glob(f"*.{ending}")
    )
    shape = (1, *SHAPES[KIND])
    return Asked(artifact=artifact, input="x", shape=shape, times=TIMES, folder=place)


@contextmanager
def _pinned(cpu: int) -> Iterator[None]:
    """Start programs on one processor only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _beside(rival: Rival, own: Sequence[BenchResult], theirs: Sequence[float]) -> Figure:
    valid = [one for one in own if one.measurement.verdict == "VALID"]
    told = [_told(one, rival.statistic) for one in (valid if len(valid) >= MIN_ROUNDS else own)]
    found = outside(told, theirs, rival.rounding_ms)
    spread = f"{min(theirs):.3f} to {max(theirs):.3f}"
    return _figure(
        rival.engine,
        (f"{OURS}: outside of", f"ten runs of {rival.name}"),
        found,
        rounds=len(theirs),
        verdict=(0.0, judge_outside(found, len(valid))),
        note=f"{rival.statistic} {np.median(told):.3f} ms; theirs {spread}",
    )


def _repeated(engine: str, own: Sequence[BenchResult]) -> Figure:
    measured = [one.measurement for one in own]
    valid = [one.p50_ms.value for one in measured if one.verdict == "VALID"]
    found = variation(valid)
    said = Counter(one.verdict for one in measured)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in said.items())
    every = variation([one.p50_ms.value for one in measured])[0]
    width = np.median([(p50.high - p50.low) / p50.value for p50 in (o.p50_ms for o in measured)])
    return _figure(
        engine,
        (f"{OURS}: variation", "of its VALID runs"),
        found,
        rounds=len(valid),
        verdict=(MOST_VARIATION, judge_variation(found, len(valid), MOST_VARIATION)),
        note=f"{counts}; all vary by {every:.1f} %; the interval of a run is {width:.1%} wide; "
        f"on a quiet machine ≤ {QUIET_VARIATION:g} %",
    )


def _theirs_repeated(rival: Rival, theirs: Sequence[float]) -> Figure:
    return _figure(
        rival.engine,
        (f"{rival.name}: variation", "of its runs"),
        variation(theirs),
        rounds=len(theirs),
        note="it tells no interval and no verdict",
    )


def _figure(
    engine: str,
    compared: tuple[str, str],
    found: Estimate,
    *,
    rounds: int,
    verdict: tuple[float, Verdict] | None = None,
    note: str,
) -> Figure:
    bar, said = verdict or (None, None)
    figure = figure_from_estimate(
        found, name=NAME, case=_case(engine), compared=compared, unit="%", rounds=rounds, note=note
    )
    return replace(figure, bar=bar, verdict=said)


def _told(result: BenchResult, statistic: Statistic) -> float:
    """Return what a rival tells, of our own samples, in milliseconds."""
    if statistic == "p50":
        return result.measurement.p50_ms.value
    return float(np.mean(np.concatenate([np.array(one) for one in result.samples_ms])))


def _case(engine: str) -> str:
    return f"{KIND} model, {engine}"
