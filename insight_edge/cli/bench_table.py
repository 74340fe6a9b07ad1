# SPDX-License-Identifier: Apache-2.0
"""How measurements look: a row each, and under a table why one is not VALID."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.markup import escape

from insight_edge.bench.baseline import Change
from insight_edge.bench.conditions import conditions_told
from insight_edge.bench.percentiles import name_of
from insight_edge.cli.screen import Format, out
from insight_edge.cli.subjects import Contender, interval_cell, show
from insight_edge.documents.evidence import Measurement
from insight_edge.documents.measured import Load, Sustained

MIB = 2**20
P50 = 50.0
"""Always told, with its interval."""

SHOWN = 90.0, 99.0
"""Percentiles that a table has where nobody asks for others."""


def show_measurements(
    contenders: Sequence[Contender],
    measured: Sequence[Measurement],
    percents: Sequence[float],
    output: Format,
    changes: Sequence[Change] = (),
) -> None:
    """Print what was measured of each contender.

    Args:
        contenders: in the order of `measured`.
        measured: what was found.
        percents: percentiles that were asked for.
        output: how.
        changes: since a baseline, in the same order; none where there is none.
    """
    pairs = list(zip(contenders, measured, strict=True))
    rows = [_row(one, found, percents or SHOWN) for one, found in pairs]
    documents: list[dict[str, Any]] = [
        {"bundle": one.bundle.digest, "variant": one.variant, "measurement": found}
        for one, found in pairs
    ]
    for row, document, change in zip(rows, documents, changes, strict=bool(changes)):
        row.update({} if output == "table" else _change_cells(change))
        document["change"] = msgspec.to_builtins(change)
    if output == "table":
        rows = [{key: cell for key, cell in row.items() if key != "why"} for row in rows]
    show(rows, output, title=_title(measured[0]), document=documents)
    if output == "table":
        for one, found in pairs:
            for line in _remarks(found):
                out.print(escape(f"{one.label}: {line}"), soft_wrap=True)
        for one, change in zip(contenders, changes, strict=bool(changes)):
            out.print(escape(f"{one.label}: {change_told(change)}"), soft_wrap=True)
        if changes:
            alike = conditions_told(changes[0].conditions)
            out.print(escape(f"then as now: {alike}"), soft_wrap=True)


def change_told(change: Change) -> str:
    """Return how a measurement stands to its baseline, in words."""
    ratio = change.ratio
    among = f"{change.runs} runs over {_span(change.over_s)}"
    range_ = f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
    updated = f"; since then {', '.join(change.updated)}" if change.updated else ""
    against = f"{change.now_ms:.3g} ms against {change.baseline_ms:.3g} ms of {among}"
    return f"{change.verdict}: {against}, ratio {range_}{updated}"


def _change_cells(change: Change) -> dict[str, Any]:
    ratio = change.ratio
    return {
        "over baseline": f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]",
        "runs": change.runs,
        "change": change.verdict,
    }


def _span(seconds: float) -> str:
    for length, name in ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} s"


def _remarks(measurement: Measurement) -> list[str]:
    """Return what a row cannot say: the reasons of a verdict, and that there are two modes."""
    told = [f"{mode.at_ms:.3g} ms ({mode.share:.0%})" for mode in measurement.modes]
    modes = [f"two modes: {', '.join(told)}"] if told else []
    kept = [_kept(measurement.sustained)] if measurement.sustained else []
    return [*measurement.reasons, *modes, *kept, *_energy(measurement)]


def _energy(measurement: Measurement) -> list[str]:
    """Return the energy of an inference by source; where there is none, what was looked for."""
    if measurement.energy:
        return [
            f"{one.mj_per_inference:.3g} mJ an inference by {one.source}, "
            f"{one.idle_w:.3g} W idle subtracted from {one.busy_w:.3g} W"
            for one in measurement.energy
        ]
    absent = "; ".join(measurement.energy_absent)
    return [f"energy is absent: {absent}"] if absent else []


def _kept(found: Sustained) -> str:
    ratio = f"{found.ratio:.3f} [{found.ratio_low:.3f}, {found.ratio_high:.3f}]"
    times = f"{found.first_ms:.3g} ms at first, {found.last_ms:.3g} ms at last"
    return f"sustained for {found.duration_s:.3g} s: {times}, ratio {ratio}"


def _title(measurement: Measurement) -> str:
    threads = f"{measurement.threads} thread{'s' * (measurement.threads > 1)}"
    return f"{_subject(measurement)}, {threads}; timed: {measurement.region}"


def _subject(measurement: Measurement) -> str:
    name, load = measurement.scenario, measurement.load
    if load is None:
        rows = f" of {measurement.rows} rows" if measurement.rows > 1 else ""
        told = "throughput" if name == "offline" else f"latency{rows}"
        return f"{name.capitalize()} {told}"
    deadline = "" if load.deadline_ms is None else f", deadline {load.deadline_ms:.4g} ms"
    return f"{name.capitalize()} latency at {load.rate_per_s:.4g} rows a second{deadline}"


def _row(one: Contender, measurement: Measurement, percents: Sequence[float]) -> dict[str, Any]:
    warm_up, shown = measurement.warm_up, [name_of(each) for each in percents if each != P50]
    return {
        "bundle": one.label,
        **_of_scenario(measurement),
        "p50 ms": interval_cell(measurement.p50_ms),
        **{f"{name} ms": measurement.percentiles_ms.get(name) for name in shown},
        "first ms": measurement.first_ms,
        "load ms": measurement.load_ms,
        "RSS MiB": round(measurement.peak_rss_bytes / MIB, 1),
        "engine MiB": _mebibytes(measurement.engine_bytes),
        "inferences" if measurement.rows == 1 else "queries": measurement.iterations,
        "warm-up s": warm_up.duration_s if warm_up else None,
        "verdict": measurement.verdict,
        "why": "; ".join(measurement.reasons) or "-",
    }


def _mebibytes(length: int | None) -> float | None:
    return None if length is None else round(length / MIB, 1)


def _of_scenario(measurement: Measurement) -> dict[str, Any]:
    """Return the columns that a scenario has before those of all."""
    load, throughput = measurement.load, measurement.throughput_per_s
    if load is not None:
        missed = None if load.misses is None else f"{load.misses} ({_share(load)})"
        misses = {} if load.deadline_ms is None else {"misses": missed}
        return {"answered/s": load.achieved_per_s, "busy": f"{load.busy_share:.0%}"} | misses
    if measurement.scenario == "single-stream" or throughput is None:
        return {}
    return {"rows/s": f"{_si(throughput.value)} [{_si(throughput.low)}, {_si(throughput.high)}]"}


def _si(rate: float) -> str:
    for factor, prefix in ((1e6, "M"), (1e3, "k")):
        if rate >= factor:
            return f"{rate / factor:.3g}{prefix}"
    return f"{rate:.3g}"


def _share(load: Load) -> str:
    return f"{(load.misses or 0) / max(1, load.offered):.2%}"
