# SPDX-License-Identifier: Apache-2.0
"""What the demo prints: chapters on the way, and the closing tables."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from insight_cloud.demo.promises import Latency, Outcome, Promise
from insight_edge.bundle.open import Bundle
from insight_edge.documents.evidence import Trial
from insight_edge.documents.host import SwapRecord
from insight_edge.documents.manifest import Reference
from insight_edge.documents.report import Report
from insight_edge.documents.statistics import (
    GridDocument,
    SummaryDocument,
    grid_from_document,
    summary_from_document,
)
from insight_edge.stats.summary import Summary

out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


class Latencies(NamedTuple):
    """Latency of some answers, as the application saw it."""

    when: str
    latency: Latency


def chapter(title: str) -> None:
    """Print the heading of a step."""
    out.rule(f"[bold]{title}", align="left")


def show(
    outcome: Outcome,
    record: SwapRecord,
    latencies: Sequence[Latencies],
    bundles: Sequence[Bundle],
) -> None:
    """Print what was shipped where, how accurate it is, and how the swap went."""
    chapter("What came out")
    out.print(_targets(bundles))
    out.print(_accuracy(outcome))
    out.print(_latency(latencies))
    phases = ", ".join(
        f"{name} {getattr(record, f'{name}_ms'):.1f}"
        for name in ("stage", "verify", "warm", "flip", "drain", "retire")
    )
    out.print(f"swap phases in ms: {phases}; {record.in_flight} in flight at the flip\n")


def show_window(report: Report, reference: Reference | None) -> None:
    """Print what the device counted in a window, beside the training data."""
    table = Table(
        title=f"Window {report.sequence} of boot {report.boot}: {report.counts.observed} of "
        f"{report.counts.asked} inferences counted, {report.counts.flagged} flagged",
        title_justify="left",
    )
    for name in ("feature", "mean", "std", "training mean", "training std", "missing"):
        table.add_column(name, justify="left" if name == "feature" else "right")
    trained = _summary(reference.summary, reference.grid) if reference else None
    for document in (report.inputs, report.outputs):
        if document is not None and reference is not None and trained is not None:
            _add_features(table, document, reference.grid, trained)
    out.print(table)


def show_promises(promises: Sequence[Promise]) -> None:
    """Print every promise, whether it was kept, and the figure."""
    table = Table(title="Promises", title_justify="left")
    table.add_column("")
    table.add_column("promise")
    table.add_column("figure", justify="right")
    for promise in promises:
        mark = "[green]kept[/]" if promise.kept else "[bold red]BROKEN[/]"
        table.add_row(mark, promise.name, promise.figure)
    out.print(table)


def _targets(bundles: Sequence[Bundle]) -> Table:
    table = Table(title="Version 1 on three machines", title_justify="left")
    table.add_column("machine")
    table.add_column("target")
    for name in ("p50 ms", "MiB"):
        table.add_column(name, justify="right")
    for name in ("proof", "measured", "verdict"):
        table.add_column(name)
    for bundle in bundles:
        for trial in bundle.evidence().trials:
            table.add_row(bundle.manifest.profile, *_target(trial))
        table.add_section()
    return table


def _target(trial: Trial) -> tuple[str, ...]:
    measured, proof, size = trial.measurement, trial.proof, trial.artifact_bytes
    return (
        f"[bold]{trial.target.token}[/]" if trial.chosen else trial.target.token,
        f"{measured.p50_ms.value:.3f}" if measured else "-",
        f"{size / 2**20:.2f}" if size else "-",
        proof.verdict if proof else "-",
        f"{measured.verdict} ({measured.kind})" if measured else "-",
        trial.reason,
    )


def _accuracy(outcome: Outcome) -> Table:
    table = Table(title="On the 357 final images, never labelled", title_justify="left")
    table.add_column("version")
    table.add_column("accuracy", justify="right")
    table.add_column("lost by compiling", justify="right")
    for number, accuracy, drop in zip((1, 2), outcome.accuracy, outcome.drop_pp, strict=True):
        table.add_row(str(number), f"{accuracy:.1%}", f"{drop:.2f} pp")
    return table


def _latency(latencies: Sequence[Latencies]) -> Table:
    table = Table(title="Latency as the application saw it, ms", title_justify="left")
    table.add_column("when")
    for name in ("answers", "p50", "p99", "max"):
        table.add_column(name, justify="right")
    for when, latency in latencies:
        figures = (latency.p50_ms, latency.p99_ms, latency.max_ms)
        table.add_row(when, str(latency.answers), *(f"{figure:.2f}" for figure in figures))
    return table


def _add_features(
    table: Table, document: SummaryDocument, grid: GridDocument, trained: Summary
) -> None:
    columns = {column.name: column for column in grid.columns}
    part = GridDocument(cells=grid.cells, columns=tuple(columns[n] for n in document.names))
    seen = _summary(document, part)
    order = {name: index for index, name in enumerate(trained.grid.names)}
    means, deviations = trained.mean(), trained.std()
    for index, name in enumerate(document.names):
        figures = (
            seen.mean()[index], seen.std()[index], means[order[name]], deviations[order[name]],
        )  # fmt: skip
        table.add_row(name, *(f"{f:.4g}" for f in figures), str(document.missing[index]))


def _summary(document: SummaryDocument, grid: GridDocument) -> Summary:
    return summary_from_document(document, grid_from_document(grid))
