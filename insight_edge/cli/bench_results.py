# SPDX-License-Identifier: Apache-2.0
"""What `bench` makes of files of results: what is left to measure, and what became slower."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from insight_edge import __version__
from insight_edge.bench.baseline import Change, change_since
from insight_edge.bench.conditions import conditions
from insight_edge.bench.machine import machine_facts
from insight_edge.bench.noise import governor
from insight_edge.bench.power_mode import power_mode
from insight_edge.bench.queries import rows_of_a_query
from insight_edge.bench.results import read_results
from insight_edge.bench.resuming import Wanted, measured_already
from insight_edge.bench.timing import Scheme
from insight_edge.cli.bench_table import change_told
from insight_edge.cli.screen import err
from insight_edge.cli.subjects import Contender
from insight_edge.documents.facts import Facts
from insight_edge.documents.result import BenchResult
from insight_edge.errors import ConfigurationError, RegressionError
from insight_edge.runtime.loading import engine_facts


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where measurements are taken: what the machine is called, and processors of it."""

    device: str
    cpus: Sequence[int]


def already_measured(
    contenders: Sequence[Contender], scheme: Scheme, place: Place, output: Path | None
) -> dict[int, BenchResult]:
    """Return what a file has of contenders already, by their place among them, and say so.

    Raises:
        ConfigurationError: no file is named, or it cannot be read.
        DocumentError: a line of it is no result.
    """
    if output is None:
        raise ConfigurationError("--continue needs a file of results", hint="name it with -o")
    results = read_results(output) if output.exists() else ()
    host, done = machine_facts(engine_facts()), {}
    for at, one in enumerate(contenders):
        found = measured_already(results, _wanted(one, scheme, place, host))
        if found is not None:
            done[at] = found
            err.print(f"{one.label} is in {output} already", markup=False, soft_wrap=True)
    return done


def merged(done: Mapping[int, BenchResult], fresh: Sequence[BenchResult]) -> list[BenchResult]:
    """Return results in the order of contenders: those that were there already and the others."""
    rest = iter(fresh)
    return [done[at] if at in done else next(rest) for at in range(len(done) + len(fresh))]


def changes_since(
    baseline: Sequence[BenchResult] | None, results: Sequence[BenchResult], same: float
) -> tuple[Change, ...]:
    """Return how results stand to a baseline; nothing where there is none.

    Raises:
        MeasurementError: it has too few runs of one of them, or under other conditions.
    """
    if baseline is None:
        return ()
    return tuple(change_since(baseline, one, compared=len(results), same=same) for one in results)


def refuse_regressions(labels: Sequence[str], changes: Sequence[Change]) -> None:
    """Say which measurements are slower than their baseline.

    Raises:
        RegressionError: there is one.
    """
    slower = [
        f"{label}: {change_told(change)}"
        for label, change in zip(labels, changes, strict=bool(changes))
        if change.verdict == "REGRESSION"
    ]
    if slower:
        raise RegressionError(
            f"{len(slower)} of {len(changes)} became slower: {'; '.join(slower)}",
            hint="compare the old and the new bundle side by side: insight-edge compare OLD NEW",
        )


def _wanted(one: Contender, scheme: Scheme, place: Place, host: Facts) -> Wanted:
    backend = one.bundle.variant(one.variant).target.backend
    engine = host.engines.get(backend)
    return Wanted(
        bundle=one.bundle.digest,
        variant=one.variant,
        conditions=conditions(
            device=place.device,
            host=host,
            scenario=replace(
                scheme.scenario, rows=rows_of_a_query(one.bundle, scheme.scenario.rows)
            ),
            threads=scheme.threads,
            cpus=place.cpus,
            power_mode=power_mode(),
            governor=governor(),
        ),
        software={
            "insight-edge": __version__,
            backend: engine.version if engine else "unknown",
            "system": host.os,
        },
        scheme=scheme,
    )
