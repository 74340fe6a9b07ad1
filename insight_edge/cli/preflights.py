# SPDX-License-Identifier: Apache-2.0
"""Preflights as tables: a line for each profile first, every target where that is asked for."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from insight_edge.cli.layers import row_told
from insight_edge.cli.screen import Format, emit, emit_json, out
from insight_edge.compile.targets.preflight import Forecast, Preflight
from insight_edge.documents.tensors import TensorSpec
from insight_edge.documents.workload import Workload
from insight_edge.selection.footprint import MIB

Row = dict[str, Any]

OPS_TOLD = 12

CELLS = ("verdict", "memory, file ≤ MiB", "bound ms", "why not, and what to change")
LEAST_MS = 0.001


def show_preflights(
    workload: Workload, done: Sequence[Preflight], output: Format, *, every: bool
) -> None:
    """Print what is known of a model.

    Args:
        workload: of the model.
        done: a preflight for each profile.
        output: how; JSON has all of it, CSV a row for each target.
        every: show each target of each profile, and not a line for each profile.
    """
    if output == "json":
        profiles = [_profile_plain(one) for one in done]
        targets = [_target_plain(one, f) for one in done for f in one.forecasts]
        emit_json({"workload": workload, "profiles": profiles, "targets": targets})
    elif output == "csv":
        emit([_target_plain(one, f) for one in done for f in one.forecasts], output)
    else:
        _emit(_summary(workload), output, "Workload at batch 1")
        _emit([_profile_row(one) for one in done], output, "Profiles")
        changes = _changes(done)
        if changes and not every:
            _emit(changes, output, "What to change")
        if every:
            rows = [row for one in done for row in _target_rows(one, named=len(done) > 1)]
            _emit(rows, output, "Targets, of engines that run there")


def _emit(rows: Sequence[Row], output: Format, title: str) -> None:
    if output == "table":
        rows = [{key: _escaped(value) for key, value in row.items()} for row in rows]
    if rows:
        emit(rows, output, title=title)
        out.print()


def _escaped(value: Any) -> Any:
    return escape(value) if isinstance(value, str) else value


def _summary(workload: Workload) -> list[Row]:
    ops = Counter(operation.op for operation in workload.operations).most_common()
    more = f", {len(ops) - OPS_TOLD} other kinds" if len(ops) > OPS_TOLD else ""
    peak = f" at '{workload.peak_operation}'" if workload.peak_operation else ""
    figures = {
        "inputs": _specs(workload.inputs),
        "outputs": _specs(workload.outputs),
        **({"a row": row_told(workload)} if workload.called else {}),
        "opset": str(workload.opset),
        "arithmetic": f"{workload.flops / 1e6:,.3f} MFLOP",
        "weights": f"{workload.parameter_bytes / MIB:,.3f} MiB",
        "activations alive": f"{workload.peak_live_bytes / MIB:,.3f} MiB{peak}",
        "operators": ", ".join(f"{count} {op}" for op, count in ops[:OPS_TOLD]) + more,
        "not counted": ", ".join(workload.unknown_ops) or "-",
    }
    return [{"figure": name, "value": value} for name, value in figures.items()]


def _specs(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{s.name}: {s.dtype} ({', '.join(map(str, s.shape))})" for s in specs)


def _profile_row(one: Preflight) -> Row:
    return {
        "": _mark(one),
        "profile": one.profile.id,
        "builds and fits (?: not known)": _joined(one.passing) or "-",
        "memory ≤ MiB": _span([_memory_mib(f) for f in one.passing]),
        "bound ms": _span([_bound_ms(f) for f in one.passing], digits=3),
    }


def _mark(one: Preflight) -> str:
    if not one.passing:
        return "✘"
    return "?" if all(_unknown(forecast) for forecast in one.passing) else "✔"


def _joined(passing: Sequence[Forecast]) -> str:
    """Return targets by backend, those that may not fit marked: `onnxruntime fp32 int8?`."""
    kinds: dict[str, list[str]] = {}
    for forecast in passing:
        backend, _, kind = forecast.planned.target.token.partition(":")
        kinds.setdefault(backend, []).append(f"{kind}?" if _unknown(forecast) else kind)
    return ", ".join(f"{backend} {' '.join(found)}" for backend, found in kinds.items())


def _span(values: Sequence[float | None], *, digits: int = 0) -> str:
    known = sorted(value for value in values if value is not None)
    if not known:
        return "-"
    least, most = (_shown(value, digits) for value in (known[0], known[-1]))
    return least if least == most else f"{least} to {most}"


def _changes(done: Sequence[Preflight]) -> list[Row]:
    """Return what would let a profile that has no target have one, each said once."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for one in done:
        for forecast in () if one.passing else one.forecasts:
            if _is_told(one, forecast) and forecast.planned.held is None:
                name = f"{one.profile.id} {forecast.planned.target.token}"
                why, change = _why_not(forecast), _change(forecast)
                found.setdefault(change or why, []).append((name, why, change))
    return [
        {
            "for": f"{name}, {len(others)} more" if others else name,
            "why not": why,
            "what to change": change or "-",
        }
        for (name, why, change), *others in found.values()
    ]


def _is_told(one: Preflight, forecast: Forecast) -> bool:
    """Return whether the profile runs the engine in that precision at all."""
    support = one.profile.engines.get(forecast.planned.target.backend)
    return support is not None and forecast.planned.target.precision in support.precisions


def _target_rows(one: Preflight, *, named: bool) -> list[Row]:
    """Return the targets of engines that run there; those of one engine that are alike, once."""
    kinds: dict[tuple[str, ...], list[str]] = {}
    for forecast in one.forecasts:
        if _is_told(one, forecast):
            backend, _, kind = forecast.planned.target.token.partition(":")
            kinds.setdefault((backend, *_cells(forecast)), []).append(kind)
    return [
        {
            **({"profile": one.profile.id} if named else {}),
            "target": f"{key[0]} {' '.join(found)}",
            **dict(zip(CELLS, key[1:], strict=True)),
        }
        for key, found in kinds.items()
    ]


def _cells(forecast: Forecast) -> tuple[str, ...]:
    told = filter(None, [_why_not(forecast) or _unknown(forecast), _change(forecast)])
    return (
        _verdict(forecast),
        _sizes(forecast),
        _span([_bound_ms(forecast)], digits=3),
        "; ".join(told),
    )


def _verdict(forecast: Forecast) -> str:
    if forecast.fit is None:
        return "not built"
    return {"yes": "fits", "no": "does not fit", "unknown": "not known"}[forecast.fit.verdict]


def _sizes(forecast: Forecast) -> str:
    if forecast.fit is None:
        return "-"
    need = forecast.fit.need
    memory = "?" if need.memory_bytes is None else f"{need.memory_bytes / MIB:,.0f}"
    return f"{memory}, {need.artifact_bytes / MIB:,.0f}"


def _target_plain(one: Preflight, forecast: Forecast) -> Row:
    fit = forecast.fit
    return {
        "profile": one.profile.id,
        "target": forecast.planned.target.token,
        "build": "no" if forecast.planned.refusal else "yes",
        "fits": fit.verdict if fit else None,
        "memory_bytes": fit.need.memory_bytes if fit else None,
        "artifact_bytes": fit.need.artifact_bytes if fit else None,
        "latency_ms": _bound_ms(forecast),
        "latency_kind": "bound" if _bound_ms(forecast) is not None else None,
        "why not": _why_not(forecast),
        "unknown": _unknown(forecast),
        "change": _change(forecast),
    }


def _profile_plain(one: Preflight) -> Row:
    return {
        "profile": one.profile.id,
        "passes": bool(one.passing),
        "targets": [forecast.planned.target.token for forecast in one.passing],
    }


def _why_not(forecast: Forecast) -> str:
    if forecast.planned.refusal is not None:
        return forecast.planned.refusal
    return "; ".join(m.reason for m in forecast.fit.misfits) if forecast.fit else ""


def _unknown(forecast: Forecast) -> str:
    return (
        f"memory not known: {forecast.fit.unknown}" if forecast.fit and forecast.fit.unknown else ""
    )


def _change(forecast: Forecast) -> str:
    misfits = forecast.fit.misfits if forecast.fit else ()
    changes = [forecast.planned.hint, *(m.change for m in misfits)]
    return "; ".join(dict.fromkeys(filter(None, changes)))


def _memory_mib(forecast: Forecast) -> float | None:
    fit = forecast.fit
    return None if fit is None or fit.need.memory_bytes is None else fit.need.memory_bytes / MIB


def _bound_ms(forecast: Forecast) -> float | None:
    bound = forecast.fit.bound if forecast.fit else None
    return None if bound is None else bound.latency_ms


def _shown(value: float, digits: int) -> str:
    if not digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if value >= LEAST_MS else f"<{LEAST_MS}"
