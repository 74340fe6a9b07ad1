# SPDX-License-Identifier: Apache-2.0
"""Verb `bench`: how fast bundles are on this machine, and whether that may be believed."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from insight_edge.bench.foreign.reading import read_report
from insight_edge.bench.results import SAMPLES, append_results, read_foreign, read_results
from insight_edge.bench.scenarios.scenario import Name
from insight_edge.cli.bench_flags import (
    bundles_from,
    cpus_from,
    duration_from,
    percents_from,
    preparation_from,
    same_from,
    samples_from,
    scenario_from_flags,
    seconds_from,
    sustained_from,
    threads_from,
)
from insight_edge.cli.bench_history import show_history
from insight_edge.cli.bench_results import (
    Place,
    already_measured,
    changes_since,
    merged,
    refuse_regressions,
)
from insight_edge.cli.bench_table import show_measurements
from insight_edge.cli.screen import Format
from insight_edge.cli.subjects import (
    contenders_of,
    results_of,
    scheme_from_flags,
    time_contenders,
    with_percentiles,
)
from insight_edge.documents.evidence import Measurement
from insight_edge.errors import MeasurementError
from insight_edge.runtime.processor import usable_threads


def bench(
    bundles: Annotated[list[Path] | None, Parameter(json_list=False)] = None,
    *,
    input: Annotated[Path | None, Parameter(name=["--input"])] = None,  # noqa: A002 - the flag is --input
    variant: Annotated[list[str] | None, Parameter(negative=())] = None,
    scenario: Name = "single-stream",
    streams: int | None = None,
    rate: float | None = None,
    period: float | None = None,
    deadline: float | None = None,
    threads: int | None = None,
    cpus: str | None = None,
    rounds: int = 20,
    duration: Annotated[float | None, Parameter(name=["--duration", "-t"])] = None,
    iterations: int | None = None,
    warmup: str = "auto",
    sustained: float | None = None,
    energy: float | None = None,
    percentile: str | None = None,
    seed: int = 0,
    python: Path | None = None,
    strict: bool = True,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    samples: int = SAMPLES,
    device: str = "local",
    resume: Annotated[bool, Parameter(name=["--continue"], negative=())] = False,
    against: Path | None = None,
    same: float = 5.0,
    history: Path | None = None,
    imported: Annotated[list[Path] | None, Parameter(name=["--import"], negative=())] = None,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Measure latency or throughput, load time and memory of bundles.

    Each bundle runs in a process of its own; all are timed in turn, round by
    round, so that what disturbs the machine disturbs all alike. The interval is
    of this launch: started again, a small model may differ by some percent, which
    `compare` takes into account. Exits 3 when a measurement is not VALID.

    Args:
        bundles: directories of bundles.
        input: .npz with rows to ask, one array for each input; the golden inputs by default.
        variant: which variant of each, or `all`; give it again for more than one; the winner by
            default.
        scenario: single-stream: one row after the other. multi-stream: several rows at a time.
            offline: throughput, of many rows at a time. server: rows come at random, at a rate,
            and wait for one another. sensor: rows come at a fixed rate, each with a deadline.
        streams: rows at a time; 8 of multi-stream and 32 of offline by default.
        rate: rows a second, of a server; INVALID where it is not held.
        period: milliseconds between rows, of a sensor.
        deadline: milliseconds from when a row comes, of a server or sensor; later answers are
            counted as misses. A sensor's is its period by default.
        threads: inference threads; as many as this process may use by default.
        cpus: processors that bundles are pinned to, such as 0,2-3; all by default.
        rounds: in which each bundle is timed once; intervals resample them.
        duration: seconds that each bundle is timed, all rounds together; by default 30 ms a
            round, and 10 s of a server or sensor.
        iterations: timed queries of each bundle, at least; 50 by default.
        warmup: seconds of calls that are left out before; by default until durations keep
            their level, and NOISY where they do not within 10 s.
        sustained: seconds that each bundle is then run alone; THROTTLED where it became slower
            with the clock, NOISY where it became so without.
        energy: seconds that each bundle is then run alone for its energy to be read: from RAPL,
            NVML, a Jetson's sensors or hwmon, what is taken idle subtracted.
        percentile: percentiles to tell, such as 90,99,99.9; INVALID where there are too few
            inferences for one. By default those of 90, 95, 99 and 99.9 that there are enough for.
        seed: of the order within rounds.
        python: interpreter to run in; by default this one, or that of the device's environment
            where this one lacks the engine.
        strict: exit 3 when a measurement is not VALID.
        output: file that a line is added to for each measurement, with its samples.
        samples: latencies kept of each measurement there, at most, evenly spread.
        device: what this machine is called there.
        resume: leave out what the --output file has already: VALID, of the same bundle, variant,
            release and engine, under the same conditions, asked for as much.
        against: file of earlier results of the same model and target; exits 1 where a measurement
            is slower than its runs differ among themselves, 3 where conditions differ.
        same: percent by which it may then be slower besides.
        history: show the results of this file, and measure nothing.
        imported: show what this report of another tool says, add it to the --output file as
            unverified, and measure nothing: MLPerf's summary, benchmark_app's report,
            trtexec --exportTimes, llama-bench -o json or csv. Give it again for more than one.
        format: how to print.
    """
    if history is not None:
        show_history(read_results(history), format, read_foreign(history))
        return
    if imported:
        reported = [one for path in imported for one in read_report(path)]
        if output is not None:
            append_results(output, reported)
        show_history((), format, reported)
        return
    asked = scenario_from_flags(
        scenario, streams=streams, rate=rate, period_ms=period, deadline_ms=deadline
    )
    percents, pinned = percents_from(percentile), cpus_from(cpus, os.sched_getaffinity(0))
    scheme = scheme_from_flags(
        rounds=rounds,
        iterations=iterations,
        threads=threads_from(threads, pinned, usable_threads()),
        seed=seed,
        duration_s=duration_from(duration, asked, iterations),
    )
    scheme = replace(
        scheme,
        sustained_s=sustained_from(sustained, asked),
        energy_s=seconds_from("--energy", energy),
    )
    scheme = with_percentiles(replace(scheme, scenario=asked), percents)
    preparation = preparation_from(warmup, asked)
    kept, tolerance = samples_from(samples), same_from(same)
    contenders = [
        one for bundle in bundles_from(bundles) for one in contenders_of(bundle, variant or ())
    ]
    baseline = None if against is None else read_results(against)
    place = Place(device=device, cpus=pinned)
    done = already_measured(contenders, scheme, place, output) if resume else {}
    left = [one for at, one in enumerate(contenders) if at not in done]
    if left:
        (timed,) = time_contenders(
            left, scheme, rows=input, python=python, preparation=preparation, cpus=pinned
        )
        fresh = results_of(left, timed, device=device, samples=kept, cpus=pinned)
        if output is not None:
            append_results(output, fresh)
    results = merged(done, fresh if left else ())
    measured = [one.measurement for one in results]
    try:
        changes = changes_since(baseline, results, tolerance)
    except MeasurementError:
        show_measurements(contenders, measured, percents, format)
        raise
    show_measurements(contenders, measured, percents, format, changes)
    labelled = list(zip([one.label for one in contenders], measured, strict=True))
    if strict:
        refuse_doubtful(labelled)
    refuse_regressions([one.label for one in contenders], changes)


def refuse_doubtful(measured: Sequence[tuple[str, Measurement]]) -> None:
    """Say which measurements may not be used, and why.

    Raises:
        MeasurementError: there is one.
    """
    doubtful = [one for one in measured if one[1].verdict != "VALID"]
    quieter = "use a quieter machine or more --rounds"
    if any(found.verdict == "INVALID" for _, found in doubtful):
        quieter = "ask for more --rounds, --iterations or --duration, or for a lower --rate"
    if doubtful:
        told = "; ".join(
            f"{label}: {found.verdict}: {', '.join(found.reasons)}" for label, found in doubtful
        )
        raise MeasurementError(
            f"{len(doubtful)} of {len(measured)} measurements are not VALID: {told}",
            hint=f"{quieter}; --no-strict takes them as they are",
        )
