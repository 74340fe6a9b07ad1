# SPDX-License-Identifier: Apache-2.0
"""Compare a window with the reference: a verdict, the features by how far they are, a sentence.

Pure: what is counted comes in, nothing is remembered. Whether several windows
make an alarm is decided by whoever keeps them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from insight_edge.stats import sentence
from insight_edge.stats.distance import (
    Cells,
    cells_from_summary,
    jensen_shannon,
    join_cells,
    kolmogorov_smirnov,
    psi,
)
from insight_edge.stats.finding import Finding, Moments, Trait
from insight_edge.stats.significance import adjust, homogeneity
from insight_edge.stats.summary import Summary
from insight_edge.stats.threshold import WINDOWS, Threshold

UNTESTED = frozenset({"confidence", "margin", "entropy"})
"""Measures of how sure a model is. It is surer of the rows it was trained on than of any others,
so their reference is not that of the field: they are shown, and no limit hangs on them."""


class Verdict(StrEnum):
    """What a window says."""

    STEADY = "steady"
    DRIFTED = "drifted"
    TOO_FEW = "too-few-samples"
    NO_THRESHOLDS = "no-thresholds"


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """What windows are compared with.

    Attributes:
        summaries: of the inputs and of the outputs, as far as there are any.
        traits: of all their features, in that order.
        classes: names of the answers by index.
    """

    summaries: tuple[Summary, ...]
    traits: tuple[Trait, ...]
    classes: tuple[str, ...] = ()

    @property
    def tested(self) -> tuple[str, ...]:
        """The features that a score is taken of."""
        return tuple(trait.name for trait in self.traits if trait.measure not in UNTESTED)


@dataclass(frozen=True, kw_only=True, eq=False)
class Assessment:
    """What a window says, and of what.

    Attributes:
        rows: of the window.
        score: the largest over the tested features; None where none is compared.
        limit: None where there is none for so many rows.
        findings: all features, those that differ most first.
        sentence: one, for people.
    """

    verdict: Verdict
    rows: int
    score: float | None
    limit: float | None
    findings: tuple[Finding, ...]
    sentence: str


def assess(
    reference: Reference,
    observed: Sequence[Summary],
    thresholds: Sequence[Threshold],
    *,
    least_rows: int = WINDOWS[0],
    reason: str = "there are none",
) -> Assessment:
    """Return what a window says.

    Args:
        reference: what it is compared with.
        observed: its summaries, over the grids of the reference's, in the same order.
        thresholds: of the tested features; the one for the largest window that is no larger than
            this one is used.
        least_rows: a window of fewer says nothing.
        reason: why there are no thresholds, if there are none for it.

    Raises:
        ValueError: it was counted over other grids, or a threshold is of other features.
    """
    _refuse(reference, observed, thresholds)
    rows = max((summary.count for summary in observed), default=0)
    threshold = _largest_fitting(thresholds, rows)
    limit = None if threshold is None else threshold.limit
    window_rows = None if threshold is None else threshold.window_rows
    findings = _ranked(_findings(reference, observed, window_rows))
    of_tested = [finding.score for finding in findings if finding.tested and finding.rows]
    score = max(of_tested, default=None)
    verdict = _verdict(rows, least_rows, score, limit)
    told = sentence.Told(rows=rows, score=score, limit=limit, findings=findings)
    if verdict is Verdict.TOO_FEW:
        said = sentence.too_few(rows, least_rows)
    elif verdict is Verdict.NO_THRESHOLDS:
        said = sentence.no_thresholds(rows, reason)
    else:
        said = sentence.drifted(told) if verdict is Verdict.DRIFTED else sentence.steady(told)
    return Assessment(
        verdict=verdict, rows=rows, score=score, limit=limit, findings=findings, sentence=said
    )


def _verdict(rows: int, least_rows: int, score: float | None, limit: float | None) -> Verdict:
    if rows < least_rows:
        return Verdict.TOO_FEW
    if limit is None or score is None:
        return Verdict.NO_THRESHOLDS
    return Verdict.DRIFTED if score > limit else Verdict.STEADY


def _largest_fitting(thresholds: Sequence[Threshold], rows: int) -> Threshold | None:
    fitting = [one for one in thresholds if one.window_rows <= rows]
    return max(fitting, key=lambda one: one.window_rows, default=None)


def _findings(
    reference: Reference, observed: Sequence[Summary], window_rows: int | None
) -> list[Finding]:
    before, after = (
        join_cells([cells_from_summary(summary) for summary in summaries])
        for summaries in (reference.summaries, observed)
    )
    measured = _measured(before, after, window_rows)
    moments = zip(_moments(reference.summaries), _moments(observed), strict=True)
    labels = _labels(reference)
    tested = set(reference.tested)
    return [
        Finding(
            trait=trait,
            tested=trait.name in tested,
            labels=labels[index],
            **{name: float(values[index]) for name, values in measured.items()},
            reference=was,
            observed=now,
            counts=(before.counts[index], after.counts[index]),
        )
        for index, (trait, (was, now)) in enumerate(zip(reference.traits, moments, strict=True))
    ]


def _measured(
    before: Cells, after: Cells, window_rows: int | None
) -> dict[str, NDArray[np.float64]]:
    """Return every measure of every feature; where nothing was counted, that of equal shares."""
    sides = before.counts, after.counts
    p_values = np.nan_to_num(homogeneity(*sides), nan=1.0)
    return {
        "score": np.nan_to_num(psi(*sides, window_rows=window_rows)),
        "js": np.nan_to_num(jensen_shannon(*sides)),
        "ks": np.nan_to_num(kolmogorov_smirnov(*sides)),
        "p_value": p_values,
        "false_discovery_rate": adjust(p_values),
    }


def _labels(reference: Reference) -> list[tuple[str, ...]]:
    """Return for each feature what its bins are called: those of `top` by the classes in them."""
    classes = reference.classes
    values = np.arange(len(classes), dtype=np.float64)
    bins = [
        bins
        for summary in reference.summaries
        for bins in summary.grid.place(np.tile(values[:, None], len(summary.grid.names))).T
    ]
    return [
        _label_bins(classes, held.tolist()) if trait.measure == "top" and classes else ()
        for trait, held in zip(reference.traits, bins, strict=True)
    ]


def _label_bins(classes: Sequence[str], bins: Sequence[int]) -> tuple[str, ...]:
    held: dict[int, list[str]] = {}
    for name, at in zip(classes, bins, strict=True):
        held.setdefault(at, []).append(name)
    names = {
        at: found[0] if len(found) == 1 else f"{found[0]}…{found[-1]}" for at, found in held.items()
    }
    return tuple(names.get(at, "") for at in range(max(bins) + 1))


def _moments(summaries: Sequence[Summary]) -> list[Moments]:
    return [
        Moments(mean=float(mean), std=float(std), minimum=float(least), maximum=float(most))
        for summary in summaries
        for mean, std, least, most in zip(
            summary.mean(), summary.std(), summary.minimum, summary.maximum, strict=True
        )
    ]


def _ranked(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return the most surprising first; where the surprise is the same, the furthest away."""
    return tuple(sorted(findings, key=lambda one: (one.false_discovery_rate, -one.score)))


def _refuse(
    reference: Reference, observed: Sequence[Summary], thresholds: Sequence[Threshold]
) -> None:
    if [each.grid.digest for each in observed] != [
        each.grid.digest for each in reference.summaries
    ]:
        raise ValueError("the window was not counted over the grids of its reference")
    if any(one.features != reference.tested for one in thresholds):
        raise ValueError("a threshold is of other features than are tested")
