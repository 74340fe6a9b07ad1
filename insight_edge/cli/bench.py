# SPDX-License-Identifier: Apache-2.0
"""Verb `bench`: how fast bundles are on this machine, and whether that may be believed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from insight_edge.bench.results import SAMPLES, append_results
from insight_edge.cli.bench_flags import percents_from, warming_up_from
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
from insight_edge.errors import ConfigurationError, MeasurementError


def bench(
    bundles: Annotated[list[Path], Parameter(json_list=False)],
    *,
    input: Annotated[Path | None, Parameter(name=["--input"])] = None,  # noqa: A002 - the flag is --input
    variant: Annotated[list[str] | None, Parameter(negative=())] = None,
    threads: int | None = None,
    rounds: int = 20,
    iterations: int | None = None,
    warmup: str = "auto",
    percentile: str | None = None,
    seed: int = 0,
    python: Path | None = None,
    strict: bool = True,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    samples: int = SAMPLES,
    device: str = "local",
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Measure single-stream latency, load time and memory of bundles.

    Each bundle runs in a process of its own; all are timed in turn, round by
    round, so that what disturbs the machine disturbs all alike. The interval is
    of this launch: started again, a small model may differ by some percent, which
    `compare` takes into account. Exits 3 when a measurement is not VALID.

    Args:
        bundles: directories of bundles.
        input: .npz with rows to ask, one array for each input; the golden inputs by default.
        variant: which variant of each, or `all`; give it again for more than one; the winner by
            default.
        threads: inference threads; as many as this process may use by default.
        rounds: in which each bundle is timed once; intervals resample them.
        iterations: timed inferences of each bundle; by default 30 ms of them a round,
            and at least 50.
        warmup: seconds of calls that are left out before; by default until durations keep
            their level, and NOISY where they do not within 10 s.
        percentile: percentiles to tell, such as 90,99,99.9; INVALID where there are too few
            inferences for one. By default those of 90, 95, 99 and 99.9 that there are enough for.
        seed: of the order within rounds.
        python: interpreter to run in; by default this one, or that of the device's environment
            where this one lacks the engine.
        strict: exit 3 when a measurement is not VALID.
        output: file that a line is added to for each measurement, with its samples.
        samples: latencies kept of each measurement there, at most, evenly spread.
        device: what this machine is called there.
        format: how to print.
    """
    percents, warming_up = percents_from(percentile), warming_up_from(warmup)
    scheme = scheme_from_flags(rounds=rounds, iterations=iterations, threads=threads, seed=seed)
    scheme = with_percentiles(scheme, percents)
    if samples < 0:
        raise ConfigurationError(f"--samples is {samples}, no fewer than 0 can be kept")
    contenders = [one for bundle in bundles for one in contenders_of(bundle, variant or ())]
    (timed,) = time_contenders(contenders, scheme, rows=input, python=python, warming_up=warming_up)
    if output is not None:
        append_results(output, results_of(contenders, timed, device=device, samples=samples))
    show_measurements(contenders, timed, percents, format)
    if strict:
        refuse_doubtful(
            [(one.label, found.measurement) for one, found in zip(contenders, timed, strict=True)]
        )


def refuse_doubtful(measured: Sequence[tuple[str, Measurement]]) -> None:
    """Say which measurements may not be used, and why.

    Raises:
        MeasurementError: there is one.
    """
    doubtful = [one for one in measured if one[1].verdict != "VALID"]
    if doubtful:
        told = "; ".join(
            f"{label}: {found.verdict}: {', '.join(found.reasons)}" for label, found in doubtful
        )
        raise MeasurementError(
            f"{len(doubtful)} of {len(measured)} measurements are not VALID: {told}",
            hint="use a quieter machine or more --rounds; --no-strict takes them as they are",
        )
