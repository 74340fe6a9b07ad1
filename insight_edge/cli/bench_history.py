# SPDX-License-Identifier: Apache-2.0
"""How a file of results looks: a row each, the oldest first, with what changed since the last."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from insight_edge.bench.conditions import Conditions, conditions_of, software_of
from insight_edge.cli.screen import Format
from insight_edge.cli.subjects import interval_cell, show
from insight_edge.documents.result import BenchResult
from insight_edge.errors import ConfigurationError

LATEST_S = 253_402_300_799.0
"""The last second that a calendar of four digits has."""


def show_history(results: Sequence[BenchResult], output: Format) -> None:
    """Print the results of a file.

    Raises:
        ConfigurationError: there is none.
    """
    if not results:
        raise ConfigurationError("there is no result in it", hint="bench -o adds one")
    last: dict[tuple[str, str, Conditions], float] = {}
    rows = []
    for one in sorted(results, key=lambda found: found.at_s):
        key = (one.model.name, one.target.token, conditions_of(one))
        rows.append(_row(one, last.get(key)))
        last[key] = one.measurement.p50_ms.value
    document = [_without_samples(one) for one in results]
    machines = "; ".join(dict.fromkeys(row["machine"] for row in rows))
    if output == "table":
        rows = [{key: cell for key, cell in row.items() if key != "machine"} for row in rows]
    show(rows, output, title=f"{len(rows)} results on {machines}", document=document)


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


def _without_samples(one: BenchResult) -> dict[str, Any]:
    return {"bundle": one.bundle, "variant": one.variant, "at_s": one.at_s,
            "device": one.device, "measurement": one.measurement}  # fmt: skip
