# SPDX-License-Identifier: Apache-2.0
"""How a file of results looks: a row each, the oldest first, with what changed since the last."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape

from insight_edge.bench.conditions import Conditions, conditions_of, software_of
from insight_edge.cli.screen import Format
from insight_edge.cli.subjects import interval_cell, show
from insight_edge.documents.foreign import UNVERIFIED, ForeignResult
from insight_edge.documents.result import BenchResult
from insight_edge.errors import ConfigurationError

TOLD_FIRST = ("p50", "mean")
"""Of the latencies that another tool reports."""

LATEST_S = 253_402_300_799.0
"""The last second that a calendar of four digits has."""


def show_history(
    results: Sequence[BenchResult], output: Format, reported: Sequence[ForeignResult] = ()
) -> None:
    """Print the results of a file, and below them what others reported.

    Raises:
        ConfigurationError: there is none.
    """
    if not results and not reported:
        raise ConfigurationError("there is no result in it", hint="bench -o adds one")
    last: dict[tuple[str, str, Conditions], float] = {}
    rows = []
    for one in sorted(results, key=lambda found: found.at_s):
        key = (one.model.name, one.target.token, conditions_of(one))
        rows.append(_row(one, last.get(key)))
        last[key] = one.measurement.p50_ms.value
    rows += [_foreign_row(one) for one in reported]
    document = [*(_without_samples(one) for one in results), *reported]
    machines = "; ".join(dict.fromkeys(row["machine"] for row in rows))
    if output == "table":
        rows = [{key: cell for key, cell in row.items() if key != "machine"} for row in rows]
    show(rows, output, title=escape(f"{len(rows)} results on {machines}"), document=document)


def _row(one: BenchResult, before_ms: float | None) -> dict[str, Any]:
    found, told = one.measurement, conditions_of(one)
    change = found.p50_ms.value / before_ms - 1 if before_ms else None
    at_s = min(max(one.at_s, 0.0), LATEST_S)
    return {
        "when": datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M"),
        "device": one.device,
        "machine": told.machine,
        "model": f"{one.model.name} {one.model.version}",
        "variant": one.variant,
        "asked": told.scenario,
        "threads": found.threads,
        "p50 ms": interval_cell(found.p50_ms),
        "since the last": None if change is None else f"{change:+.1%}",
        "engine": " ".join(list(software_of(one).items())[1]),
        "verdict": found.verdict,
    }


def _foreign_row(one: ForeignResult) -> dict[str, Any]:
    """Return a row of what nobody here measured: no interval, and who says it for a verdict."""
    name = next((name for name in (*TOLD_FIRST, *one.latency_ms) if name in one.latency_ms), "")
    ms = one.latency_ms.get(name)
    told = f"{one.throughput_per_s or 0:.4g} {one.throughput_of}/s"
    if ms is not None:
        told = f"{ms:.4g}" if name == "p50" else f"{ms:.4g} ({name})"
    own = f", which says {one.said}" if one.said else ""
    return {
        "when": None,
        "device": one.device or None,
        "machine": one.device or "not told",
        "model": one.model or one.source,
        "variant": " ".join(filter(None, (one.target, one.precision))) or None,
        "asked": one.scenario or None,
        "threads": one.threads,
        "p50 ms": told,
        "since the last": None,
        "engine": one.target or None,
        "verdict": f"{UNVERIFIED}: {one.reported_by}{own}",
    }


def _without_samples(one: BenchResult) -> dict[str, Any]:
    return {"bundle": one.bundle, "variant": one.variant, "at_s": one.at_s,
            "device": one.device, "measurement": one.measurement}  # fmt: skip
