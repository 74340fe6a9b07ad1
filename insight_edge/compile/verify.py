# SPDX-License-Identifier: Apache-2.0
"""Whether an artifact still answers like its source model, as a proof and not as a tolerance.

Pure: arrays in, a `Proof` out. Running the artifact is `compile.examine`'s
business, choosing among proofs `compile.choose`'s.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.evidence import Proof, ProofVerdict
from insight_edge.errors import CompileError
from insight_edge.stats.paired import MAX_ROWS, PairedLoss, loss_bound, rows_needed

Rows = NDArray[np.generic]
Outputs = Mapping[str, Rows]
Flags = NDArray[np.bool_]
Figures = NDArray[np.float64]

CLOSE_SHARE = 0.05
"""A row of an output that says no class agrees when every element is off by less than this share
of the spread (standard deviation) of the source model's output."""

MIN_SQNR_DB = 0.0
"""Below it the error has more power than the answers: whatever the classes say, it is broken."""


def prove(
    source: Outputs, target: Outputs, labels: NDArray[np.integer] | None, *, budget_pp: float
) -> Proof:
    """Return how the target's answers compare with the source model's on the same rows.

    With labels the metric is the accuracy of the first output that says a class, and the loss
    is paired row by row. Without them, or without such an output, it is agreement with the
    source model in all outputs.

    Args:
        source: (n, ...) raw outputs of the source model by name, n at least 1.
        target: the same of the artifact.
        labels: (n,) class indices, or None.
        budget_pp: percentage points that may be lost.

    Raises:
        CompileError: the artifact lacks an output, or answers in another shape.
    """
    for name, wanted in source.items():
        _refuse_misshapen(name, wanted, target.get(name))
    differences = {name: _differences(source[name], target[name]) for name in source}
    agreements = [agreement(source[name], target[name]) for name in source]
    agree = np.logical_and.reduce(agreements, dtype=np.bool_)
    scored = None if labels is None else _scored(source)
    right = np.ones(len(agree), np.bool_), agree
    if scored is not None:
        right = _classes(source[scored]) == labels, _classes(target[scored]) == labels
    loss = loss_bound(*right)
    error = np.max([one.max(axis=1, initial=0.0) for one in differences.values()], axis=0)
    sqnr_db = _least([_sqnr_db(source[name], differences[name]) for name in source])
    verdict, reason, need = _judge(loss, budget_pp, finite=bool(np.isfinite(error).all()))
    if verdict != "FAILED" and sqnr_db is not None and sqnr_db < MIN_SQNR_DB:
        verdict, need = "FAILED", 0
        reason = f"its error is as large as its answers (SQNR {sqnr_db:.0f} dB)"
    return Proof(
        rows=loss.rows,
        labelled=scored is not None,
        metric="agreement" if scored is None else "accuracy",
        source_value=float(right[0].mean()),
        target_value=float(right[1].mean()),
        drop_pp=100 * loss.drop,
        drop_upper_pp=100 * loss.upper,
        budget_pp=budget_pp,
        need_rows=need,
        agreement=float(agree.mean()),
        max_abs_error=float(error.clip(max=np.finfo(np.float64).max).max()),
        sqnr_db=sqnr_db,
        worst_row=int(error.argmax()),
        verdict=verdict,
        reason=reason,
    )


def no_rows(budget_pp: float) -> Proof:
    """Return the proof of an artifact that no real row could be put through."""
    loss = PairedLoss(rows=0, losses=0, gains=0, drop=0.0, upper=1.0)
    verdict, reason, need = _judge(loss, budget_pp, finite=True)
    return Proof(
        rows=0, labelled=False, metric="agreement", source_value=1.0, target_value=1.0,
        drop_pp=0.0, drop_upper_pp=100.0, budget_pp=budget_pp, need_rows=need, agreement=1.0,
        max_abs_error=0.0, sqnr_db=None, worst_row=0, verdict=verdict, reason=reason,
    )  # fmt: skip


def agreement(source: Rows, target: Rows) -> Flags:
    """Return (n,) whether each row means the same: the same class, or all elements close."""
    if _says_class(source):
        return np.equal(_classes(source), _classes(target))
    close = _differences(source, target) <= CLOSE_SHARE * _spread(source)
    agreed: Flags = np.logical_and.reduce(close, axis=1)
    return agreed


def _judge(loss: PairedLoss, budget_pp: float, *, finite: bool) -> tuple[ProofVerdict, str, int]:
    """Return the verdict, one sentence for it, and how many more rows would settle it."""
    drop_pp, upper_pp = 100 * loss.drop, 100 * loss.upper
    if not finite:
        return "FAILED", "answers NaN or infinity where the source model does not", 0
    if drop_pp > budget_pp:
        return "FAILED", f"loses {drop_pp:.2f} pp, {budget_pp:g} pp are allowed", 0
    if upper_pp <= budget_pp:
        return "PROVEN", f"loses at most {upper_pp:.2f} pp of the {budget_pp:g} pp allowed", 0
    wanted = rows_needed(loss.rows, loss.losses, loss.gains, budget=budget_pp / 100)
    need = max(1, wanted - loss.rows)
    if wanted >= MAX_ROWS:
        return "UNPROVEN", f"UNPROVEN: no number of rows proves it within {budget_pp:g} pp", need
    return "UNPROVEN", f"UNPROVEN: need {need} more", need


def _refuse_misshapen(name: str, wanted: Rows, found: Rows | None) -> None:
    if found is None:
        raise CompileError(f"it does not answer '{name}'")
    if found.shape != wanted.shape:
        raise CompileError(
            f"it answers '{name}' in {list(found.shape)}, the source model in {list(wanted.shape)}"
        )


def _scored(outputs: Outputs) -> str | None:
    """Return the first output that says a class."""
    return next((name for name, rows in outputs.items() if _says_class(rows)), None)


def _says_class(rows: Rows) -> bool:
    """Return whether it is one class index a row, or one score a class."""
    if rows.dtype.kind in "iu":
        return rows.size == len(rows)
    return rows.ndim == 2 and rows.shape[1] > 1


def _classes(rows: Rows) -> NDArray[np.intp]:
    if rows.dtype.kind in "iu":
        return rows.reshape(len(rows)).astype(np.intp)
    top: NDArray[np.intp] = _flat(rows).argmax(axis=1)
    return top


def _spread(rows: Rows) -> float:
    """Return the standard deviation, or the largest magnitude where all elements are one."""
    finite = _flat(rows)[np.isfinite(_flat(rows))]
    return float(finite.std()) or float(np.abs(finite).max()) or 1.0 if finite.size else 1.0


def _differences(source: Rows, target: Rows) -> Figures:
    """Return f8[n, elements], 0 where equal or both NaN, infinite where only one is a number."""
    left, right = _flat(source), _flat(target)
    with np.errstate(invalid="ignore"):
        difference = np.abs(left - right)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    return np.where(same, 0.0, np.where(np.isnan(difference), np.inf, difference))


def _sqnr_db(source: Rows, difference: Figures) -> float | None:
    """Return the ratio of signal to quantisation noise, or None where there is no ratio."""
    signal = float(np.square(_flat(source)).sum())
    noise = float(np.square(difference).sum())
    if not 0 < noise < math.inf or not 0 < signal < math.inf:
        return None
    return 10 * math.log10(signal / noise)


def _least(values: list[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _flat(rows: Rows) -> Figures:
    return rows.reshape(len(rows), -1).astype(np.float64)
