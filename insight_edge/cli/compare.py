# SPDX-License-Identifier: Apache-2.0
"""Verb `compare`: which of several bundles or variants is faster, by how much, is that sure?"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from insight_edge.bench.compared import (
    MEDIAN,
    may_hide,
    statistic_name,
    values_of,
    what_disturbed,
    why_invalid,
)
from insight_edge.bench.comparison import Terms, compare_launches
from insight_edge.bench.results import SAMPLES, append_results
from insight_edge.bench.scenarios.scenario import Name
from insight_edge.bench.timing import Scheme, Timed
from insight_edge.cli.bench_flags import (
    compared_percent_from,
    cpus_from,
    duration_from,
    launches_from,
    preparation_from,
    same_from,
    samples_from,
    scenario_from_flags,
    threads_from,
)
from insight_edge.cli.compare_table import show_comparisons
from insight_edge.cli.screen import Format
from insight_edge.cli.subjects import (
    Contender,
    contender,
    results_of,
    scheme_from_flags,
    time_contenders,
    with_percentiles,
)
from insight_edge.documents.evidence import Comparison
from insight_edge.errors import ConfigurationError, MeasurementError
from insight_edge.runtime.processor import usable_threads

AT_A_RATE_S = 2.0
"""That each is asked in a launch, of a scenario with a rate."""


def compare(
    bundles: Annotated[list[Path], Parameter(json_list=False)],
    *,
    variant: tuple[str, ...] = (),
    input: Annotated[Path | None, Parameter(name=["--input"])] = None,  # noqa: A002 - the flag is --input
    scenario: Name = "single-stream",
    streams: int | None = None,
    rate: float | None = None,
    period: float | None = None,
    deadline: float | None = None,
    threads: int | None = None,
    cpus: str | None = None,
    launches: int = 11,
    rounds: int = 5,
    duration: Annotated[float | None, Parameter(name=["--duration", "-t"])] = None,
    iterations: int | None = None,
    warmup: str | None = None,
    percentile: float = MEDIAN,
    same: float = 5.0,
    seed: int | None = None,
    python: Path | None = None,
    strict: bool = True,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    samples: int = SAMPLES,
    device: str = "local",
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Compare two bundles, or several with the first, or variants of one.

    All are started together several times, and timed in turn, in orders drawn by
    lot. The ratio is taken within each launch, so what slows the machine down
    cancels, and its interval is of launches: like things are called different at
    most once in twenty times, whatever the machine does. Exits 3 when the
    launches cannot tell.

    Args:
        bundles: directories of bundles, each compared with the first; or of one with several
            variants.
        variant: which variant, once for all or once for each; the winner by default.
        input: .npz with rows to ask, one array for each input; the golden inputs by default.
        scenario: as of `bench`. Of offline it is the mean that is compared, which is throughput.
        streams: rows at a time; 8 of multi-stream and 32 of offline by default.
        rate: rows a second, of a server; INVALID where it is not held.
        period: milliseconds between rows, of a sensor.
        deadline: milliseconds from when a row comes, of a server or sensor.
        threads: inference threads; as many as this process may use by default.
        cpus: processors that all are pinned to, such as 0,2-3; all by default.
        launches: how often all are started, 6 at least; more of them tell smaller differences.
        rounds: of a launch, in which each is timed once.
        duration: seconds that each is timed in a launch; by default 30 ms a round, and 2 s of a
            server or sensor.
        iterations: timed queries of each in a launch, at least.
        warmup: seconds of calls that are left out before, in each launch; `auto` until durations
            keep their level. By default until a few calls do.
        percentile: that is compared, such as 99; each launch then has enough queries for it.
        same: percent by which two may differ and be called no different.
        seed: of the orders; drawn anew by default, and told in JSON.
        python: interpreter to run in; by default this one, or that of the device's environment
            where this one lacks the engine.
        strict: exit 3 when a comparison is NOISY or INVALID.
        output: file that a line is added to for each launch of each, with its samples.
        samples: latencies kept of each launch there, at most, evenly spread.
        device: what this machine is called there.
        format: how to print.
    """
    asked = scenario_from_flags(
        scenario, streams=streams, rate=rate, period_ms=period, deadline_ms=deadline
    )
    percent, pinned = compared_percent_from(percentile), cpus_from(cpus, os.sched_getaffinity(0))
    if duration is None and iterations is None and asked.rate_per_s is not None:
        duration = AT_A_RATE_S
    scheme = scheme_from_flags(
        rounds=rounds,
        iterations=iterations,
        threads=threads_from(threads, pinned, usable_threads()),
        seed=secrets.randbits(32) if seed is None else seed,
        launches=launches_from(launches),
        duration_s=duration_from(duration, asked, iterations),
    )
    scheme = with_percentiles(replace(scheme, scenario=asked), percent)
    preparation = preparation_from(warmup, asked)
    kept, tolerance = samples_from(samples), same_from(same)
    sides = _sides(bundles, variant)
    timed = time_contenders(
        sides,
        scheme,
        rows=input,
        python=python,
        launches=launches,
        preparation=preparation,
        cpus=pinned,
    )
    if output is not None:
        for launch in timed:
            append_results(
                output, results_of(sides, launch, device=device, samples=kept, cpus=pinned)
            )
    found = _compared(sides, timed, scheme, tolerance)
    show_comparisons(found, asked, scheme.threads, format)
    if strict:
        refuse_untold(found)


def refuse_untold(found: Sequence[Comparison]) -> None:
    """Say which comparisons say nothing.

    Raises:
        MeasurementError: there is one.
    """
    untold = [one for one in found if one.verdict in {"NOISY", "INVALID"}]
    if untold:
        raise MeasurementError(
            f"{len(untold)} of {len(found)} comparisons cannot be told: {untold[0].sentence}",
            hint="use a quieter machine or more --launches; --no-strict takes it as it is",
        )


def _compared(
    sides: Sequence[Contender],
    timed: Sequence[Sequence[Timed]],
    scheme: Scheme,
    same: float,
) -> tuple[Comparison, ...]:
    percent, scenario = (*scheme.percents, MEDIAN)[0], scheme.scenario
    statistic = statistic_name(scenario, percent)
    terms = Terms(
        statistic=statistic,
        rounds=scheme.rounds,
        same=same,
        seed=scheme.seed,
        invalid=why_invalid(timed, scenario),
        disturbed=what_disturbed(timed),
        hides=may_hide(timed, statistic),
    )
    values = [
        [values_of(launch[at], scenario, percent) for launch in timed] for at in range(len(sides))
    ]
    return compare_launches(values, _names(sides), terms)


def _names(sides: Sequence[Contender]) -> list[str]:
    """Return what the sides are called, those that are called alike with their places."""
    labels = [one.label for one in sides]
    return [
        f"{label} (#{at})" if labels.count(label) > 1 else label
        for at, label in enumerate(labels, 1)
    ]


def _sides(bundles: Sequence[Path], variants: Sequence[str]) -> list[Contender]:
    count = max(len(bundles), len(variants))
    if count > 1 and (len(bundles) not in {1, count} or len(variants) not in {0, 1, count}):
        raise ConfigurationError(
            f"{len(bundles)} bundles and {len(variants)} variants do not pair",
            hint="name one --variant for all bundles, or one for each",
        )
    if count < 2:
        names = [one.name for one in contender(bundles[0], None).bundle.manifest.variants]
        raise ConfigurationError(
            "one bundle has one side",
            hint=f"name a second bundle, or two of its variants with --variant: {', '.join(names)}",
        )
    named = [*variants, *[None] * count] if not variants else list(variants) * count
    return [
        contender(bundle, name) for bundle, name in zip(list(bundles) * count, named, strict=False)
    ][:count]
