# SPDX-License-Identifier: Apache-2.0
"""Whether an artifact still answers like its source model, as a proof and not as a tolerance.

Pure: arrays in, a `Proof` out. Running the artifact is `compile.trials.examine`'s
business, choosing among proofs `compile.choose`'s.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from insight_edge.compile.rows.closeness import (
    Figures,
    Outputs,
    Rows,
    classes,
    differences,
    flat,
    output_evidence,
    resolution,
    says_class,
)
from insight_edge.compile.rows.metric import Labels, Scores, score
from insight_edge.documents.evidence import Proof, ProofVerdict
from insight_edge.documents.manifest import ranks_classes
from insight_edge.errors import CompileError
from insight_edge.stats.paired import MAX_ROWS, loss_bound, rows_needed
from insight_edge.stats.paired_scores import score_loss, score_rows_needed

CLOSE_SHARE = 0.05
"""An element of an output that says no class is close when it is off by less than this share of
the spread (standard deviation) of the source model's output."""

CLOSE_STEPS = 4
"""An element that is off by no more steps of its own type is close, however small the spread: sums
in another order end so far apart, and what lies between is not in the source model's answer."""

MIN_SQNR_DB = 0.0
"""Below it the error has more power than the answers: whatever the classes say, it is broken."""


@dataclass(frozen=True, kw_only=True)
class _Loss:
    """What is lost on some rows, as shares of 1, and how many rows in all would settle it."""

    rows: int
    drop: float
    upper: float
    wanted: Callable[[float], int]


def prove(
    source: Outputs,
    target: Outputs,
    labels: Labels | None,
    *,
    budget_pp: float,
    measured_budget_pp: float | None = None,
    task: str = "unspecified",
) -> Proof:
    """Return how the target's answers compare with the source model's on the same rows.

    With labels the metric is that of the first output that they speak of (`compile.rows.metric`),
    and the loss is paired row by row. Without them, or without such an output, it is agreement with
    the source model in all outputs.

    Args:
        source: (n, ...) raw outputs of the source model by name, n at least 1.
        target: the same of the artifact.
        labels: of the same rows, or None.
        budget_pp: percentage points that may be lost, as proven.
        measured_budget_pp: percentage points that may be lost, as measured; the same for None.
        task: of the model; it tells scores of classes from other numbers.

    Raises:
        CompileError: as `refuse_misfit`.
        ConfigurationError: the labels fit no output.
    """
    ranked = ranks_classes(task) and (labels is None or labels.dtype.kind != "f")
    refuse_misfit(source, target)
    errors = {name: differences(source[name], target[name]) for name in source}
    agreements = [agreement(source[name], target[name], ranked=ranked) for name in source]
    agree = np.minimum.reduce(agreements)
    scored = None if labels is None else score(source, target, labels, ranked=ranked)
    scores = scored or _agreement_scores(agree)
    loss = _loss(scores)
    error = np.max([one.max(axis=1, initial=0.0) for one in errors.values()], axis=0)
    outputs = tuple(
        output_evidence(name, source[name], target[name], errors[name], ranked=ranked)
        for name in source
    )
    ratio_db = _least([output.sqnr_db for output in outputs])
    allowed_pp = budget_pp if measured_budget_pp is None else min(measured_budget_pp, budget_pp)
    finite = bool(np.isfinite(error).all())
    verdict, reason, need = _judge(loss, budget_pp, allowed_pp, finite=finite)
    if verdict != "FAILED" and ratio_db is not None and ratio_db < MIN_SQNR_DB:
        verdict, need = "FAILED", 0
        reason = f"its error is as large as its answers (SQNR {ratio_db:.0f} dB)"
    return Proof(
        rows=loss.rows,
        labelled=scored is not None,
        metric=scores.metric,
        source_value=float(scores.source.mean()),
        target_value=float(scores.target.mean()),
        drop_pp=100 * loss.drop,
        drop_upper_pp=100 * loss.upper,
        budget_pp=budget_pp,
        measured_budget_pp=measured_budget_pp,
        need_rows=need,
        agreement=float(agree.mean()),
        max_abs_error=float(error.clip(max=np.finfo(np.float64).max).max()),
        sqnr_db=ratio_db,
        worst_row=int(error.argmax()),
        verdict=verdict,
        reason=reason,
        outputs=outputs,
    )


def refuse_misfit(source: Outputs, target: Outputs) -> None:
    """Raise where an artifact's answers are no arrays of the source model's kind.

    Raises:
        CompileError: it lacks an output, or answers in another shape or type.
    """
    for name, wanted in source.items():
        _refuse_other(name, wanted, target.get(name))


def no_rows(budget_pp: float) -> Proof:
    """Return the proof of an artifact that no real row could be put through."""
    loss = _loss(_agreement_scores(np.zeros(0)))
    verdict, reason, need = _judge(loss, budget_pp, budget_pp, finite=True)
    return Proof(
        rows=0, labelled=False, metric="agreement", source_value=1.0, target_value=1.0,
        drop_pp=0.0, drop_upper_pp=100.0, budget_pp=budget_pp, need_rows=need, agreement=1.0,
        max_abs_error=0.0, sqnr_db=None, worst_row=0, verdict=verdict, reason=reason,
    )  # fmt: skip


def agreement(source: Rows, target: Rows, *, ranked: bool = True) -> Figures:
    """Return f8[n], how far each row means the same: 1 for the same class, or the close share.

    Of a map of thousands of numbers a few are off in FP32 already, where the model takes a
    logarithm of next to nothing: what counts of it is how many.
    """
    if ranked and says_class(source):
        return np.equal(classes(source), classes(target)).astype(np.float64)
    close = np.fmax(CLOSE_SHARE * _spread(source), CLOSE_STEPS * resolution(source))
    far = ~(differences(source, target) <= close)
    shares: Figures = 1 - far.sum(axis=1) / max(1, far.shape[1])
    return shares


def _agreement_scores(agree: Figures) -> Scores:
    """Return agreement as scores; while nothing is lost in part, the tighter bound holds."""
    binary = bool(np.isin(agree, (0.0, 1.0)).all())
    return Scores(metric="agreement", source=np.ones(len(agree)), target=agree, binary=binary)


def _loss(scores: Scores) -> _Loss:
    """Return what is lost; right or wrong is bounded more tightly than scores between."""
    if scores.binary:
        found = loss_bound(scores.source == 1, scores.target == 1)

        def wanted(budget: float) -> int:
            return rows_needed(found.rows, found.losses, found.gains, budget=budget)

        return _Loss(rows=found.rows, drop=found.drop, upper=found.upper, wanted=wanted)
    bounded = score_loss(scores.source, scores.target)

    def about(budget: float) -> int:
        return score_rows_needed(scores.source - scores.target, budget=budget)

    return _Loss(rows=bounded.rows, drop=bounded.drop, upper=bounded.upper, wanted=about)


def _judge(
    loss: _Loss, budget_pp: float, allowed_pp: float, *, finite: bool
) -> tuple[ProofVerdict, str, int]:
    """Return the verdict, one sentence for it, and how many more rows would settle it."""
    drop_pp, upper_pp = 100 * loss.drop, 100 * loss.upper
    if not finite:
        return "FAILED", "answers NaN or infinity where the source model does not", 0
    if drop_pp > allowed_pp:
        return "FAILED", f"loses {drop_pp:.2f} pp, {allowed_pp:g} pp are allowed", 0
    if upper_pp <= budget_pp:
        return "PROVEN", f"loses at most {upper_pp:.2f} pp of the {budget_pp:g} pp allowed", 0
    wanted = loss.wanted(budget_pp / 100)
    need = max(1, wanted - loss.rows)
    if wanted >= MAX_ROWS:
        return "UNPROVEN", f"UNPROVEN: no number of rows proves it within {budget_pp:g} pp", need
    return "UNPROVEN", f"UNPROVEN: need {need} more", need


def _refuse_other(name: str, wanted: Rows, found: Rows | None) -> None:
    if found is None:
        raise CompileError(f"it does not answer '{name}'")
    if found.shape != wanted.shape:
        raise CompileError(
            f"it answers '{name}' in {list(found.shape)}, the source model in {list(wanted.shape)}"
        )
    if found.dtype != wanted.dtype:
        raise CompileError(
            f"it answers '{name}' as {found.dtype}, the source model as {wanted.dtype}"
        )


def _spread(rows: Rows) -> float:
    """Return the standard deviation, or the largest magnitude where all elements are one."""
    finite = flat(rows)[np.isfinite(flat(rows))]
    return float(finite.std()) or float(np.abs(finite).max()) or 1.0 if finite.size else 1.0


def _least(values: list[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)
