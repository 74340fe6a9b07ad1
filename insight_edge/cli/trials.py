# SPDX-License-Identifier: Apache-2.0
"""Trials as rows: the one table that `compile` and `inspect` print.

People see what was built in the table, and what was refused in a line for each
reason below it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from insight_edge.cli.screen import Format, emit, out
from insight_edge.documents.codec import to_plain
from insight_edge.documents.evidence import Trial

if TYPE_CHECKING:
    from insight_edge.compile.building.misses import Lookup

Row = dict[str, str]


def emit_trials(
    trials: Sequence[Trial],
    output: Format,
    *,
    title: str,
    lookups: Mapping[str, "Lookup"] | None = None,
) -> None:
    """Print a row for each trial, in order; as JSON the trials themselves.

    Args:
        trials: in order.
        output: how.
        title: of the table.
        lookups: by token, of the kept builds that were looked for; they are told in JSON alone.
    """
    if output != "table":
        documents = [_document(trial, lookups or {}) for trial in trials]
        emit([_row(trial) for trial in trials], output, title=title, document=documents)
        return
    rows = [_row(trial) for trial in trials if trial.status != "refused"]
    emit([{name: escape(cell) for name, cell in row.items()} for row in rows], title=title)
    for reason, tokens in _refused(trials).items():
        out.print(escape(f"refused {', '.join(tokens)}: {reason}"), style="dim", soft_wrap=True)


def _document(trial: Trial, lookups: Mapping[str, "Lookup"]) -> Any:
    found = lookups.get(trial.target.token)
    if found is None:
        return to_plain(trial)
    return to_plain(trial) | {"kept": {"state": found.state, "why": found.why}}


def _refused(trials: Sequence[Trial]) -> dict[str, list[str]]:
    """Return the targets that were refused, by reason."""
    found: dict[str, list[str]] = {}
    for trial in trials:
        if trial.status == "refused":
            found.setdefault(trial.reason, []).append(trial.target.token)
    return found


def _row(trial: Trial) -> Row:
    return {
        "": "✔" if trial.chosen else "",
        "target": trial.target.token,
        "p50 ms": _latency(trial),
        "size MiB": f"{trial.artifact_bytes / 2**20:.2f}" if trial.artifact_bytes else "-",
        "drop pp": _drop(trial),
        "SQNR dB": _sqnr(trial),
        "proof": trial.proof.verdict if trial.proof else "-",
        "measured": _verdict(trial),
        "build s": f"{trial.build_s:.1f}" if trial.build_s is not None else "-",
        "why": trial.reason,
    }


def _latency(trial: Trial) -> str:
    if trial.measurement is None:
        least_ms = trial.prediction.bound_ms if trial.prediction else None
        return "-" if least_ms is None else f"≥ {least_ms:.3g} (bound)"
    p50 = trial.measurement.p50_ms
    return f"{p50.value:.3g} [{p50.low:.3g}, {p50.high:.3g}]"


def _drop(trial: Trial) -> str:
    if trial.proof is None:
        return "-"
    return f"{trial.proof.drop_pp:.2f} ≤ {trial.proof.drop_upper_pp:.2f}"


def _sqnr(trial: Trial) -> str:
    if trial.proof is None or trial.proof.sqnr_db is None:
        return "-"
    return f"{trial.proof.sqnr_db:.0f}"


def _verdict(trial: Trial) -> str:
    if trial.measurement is None:
        label = "predicted" if trial.prediction is not None else "-"
        return "not executed" if trial.unexecuted else label
    verdict = trial.measurement.verdict
    return verdict if trial.measurement.kind == "measured" else f"{verdict}, bound"
