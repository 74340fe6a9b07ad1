# SPDX-License-Identifier: Apache-2.0
"""One sentence about a window: what is different, where, and the figures to check it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from insight_edge.stats.finding import Finding, Kind

MOST_FINDINGS = 3
LEADING_SHARE = 1 / 3
"""Of the largest score: the features that people know best go first among these."""

FAMILIAR = ("value", "top", "mean", "contrast", "sharpness", "max", "min", "std")
WORDS = {"mean": "brightness "}

UNSURE_DROP = 0.05
SURPRISING = 0.01
"""A rate of false discoveries below which a drop of confidence is worth a word."""

RATIO_MEASURES = frozenset({"mean", "std", "max", "contrast", "sharpness", "entropy"})
"""Those that a change in percent says something about; of a temperature it says nothing."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a sentence is about."""

    rows: int
    score: float | None
    limit: float | None
    findings: Sequence[Finding]


def drifted(told: Told) -> str:
    """Return what is different about a window that is above its limit."""
    limit = told.limit or 0.0
    above = [one for one in told.findings if one.tested and one.score > limit]
    chosen = _familiar_first(above)[:MOST_FINDINGS]
    said = [_long(chosen[0]), *(_short(one) for one in chosen[1:])]
    subject = _subject(chosen[0])
    return _capital(
        f"{', '.join(said)}: {subject} {told.rows} rows look like none of the training windows "
        f"(score {_number(told.score)}, limit {_number(told.limit)}){_unsure(told, ';')}"
    )


def steady(told: Told) -> str:
    """Return that a window is within its limit, and which feature came nearest to it."""
    nearest = max((one for one in told.findings if one.tested), key=lambda one: one.score)
    unsure = _unsure(told, "; but")
    hint = ", which only outcomes can judge" if unsure else ""
    return _capital(
        f"{_subject(nearest)} {told.rows} rows look like training (score {_number(told.score)} in "
        f"{nearest.trait.noun}, limit {_number(told.limit)}){unsure}{hint}"
    )


def too_few(rows: int, least_rows: int) -> str:
    """Return how many rows are missing."""
    more = least_rows - rows
    return (
        f"{_rows(rows)} too few to compare with training: {more} more make a window of {least_rows}"
    )


def no_thresholds(rows: int, reason: str) -> str:
    """Return why a window cannot be judged."""
    return f"No limit for a window of {rows} rows: {reason}"


def _long(one: Finding) -> str:
    noun = one.trait.noun
    if one.kind is Kind.MEAN and one.trait.measure in RATIO_MEASURES:
        change = _percent(one)
        if change is not None:
            verb = "fell" if change < 0 else "rose"
            word = WORDS.get(one.trait.measure, "")
            return f"{noun} {_means(one)} ({word}{verb} {abs(change):.0f} %)"
    return _short(one)


def _short(one: Finding) -> str:  # noqa: PLR0911 - a line for each kind
    noun = one.trait.noun
    rows = one.rows
    if one.kind is Kind.MISSING:
        return f"{noun} is missing in {one.missing[1]} of {rows} rows ({_usually(one, 'missing')})"
    if one.kind is Kind.OUTSIDE:
        low, high = _number(one.reference.minimum), _number(one.reference.maximum)
        where = f"outside the {low} to {high} of training"
        return f"{noun} is {where} in {one.outside[1]} of {rows} rows ({_usually(one, 'outside')})"
    if one.kind is Kind.CLASSES:
        return _classes(one)
    if one.kind is Kind.MEAN:
        change = _percent(one) if one.trait.measure in RATIO_MEASURES else None
        if change is not None:
            return f"{noun.partition(' of ')[0]} {_signed(f'{change:+.0f}')} %"
        return f"{noun} {_means(one)}"
    if one.kind is Kind.SPREAD:
        before, after = _number(one.reference.std), _number(one.observed.std)
        return f"standard deviation of {noun} {before} → {after}"
    return f"{noun} is distributed otherwise (by up to {100 * one.ks:.0f} % of the rows)"


def _classes(one: Finding) -> str:
    """Return the class whose share changed most."""
    before, after = (
        counts[1 : 1 + len(one.labels)] / max(int(counts.sum()), 1) for counts in one.counts
    )
    index = int(np.abs(after - before).argmax())
    name = one.labels[index]
    return f"class '{name}' {_share(before[index])} → {_share(after[index])} of the answers"


def _unsure(told: Told, joint: str) -> str:
    """Return how far confidence fell, if it did."""
    for one in told.findings:
        drop = one.reference.mean - one.observed.mean
        if (
            one.trait.measure == "confidence"
            and drop >= UNSURE_DROP
            and one.false_discovery_rate < SURPRISING
        ):
            return f"{joint} confidence fell {_means(one)}"
    return ""


def _familiar_first(findings: Sequence[Finding]) -> list[Finding]:
    leading = LEADING_SHARE * max(one.score for one in findings)

    def order(one: Finding) -> tuple[bool, int, float]:
        measure = one.trait.measure
        known = FAMILIAR.index(measure) if measure in FAMILIAR else len(FAMILIAR)
        return one.score < leading, known, -one.score

    return sorted(findings, key=order)


def _subject(one: Finding) -> str:
    return "the inputs of" if one.trait.side == "input" else "the answers to"


def _usually(one: Finding, which: str) -> str:
    counted = getattr(one, which)[0]
    return f"in training {counted} of {int(one.counts[0].sum())}"


def _percent(one: Finding) -> float | None:
    """Return the change of the mean in percent; None where it would be of nothing."""
    before, after = one.reference.mean, one.observed.mean
    return 100 * (after / before - 1) if before > 0 and after >= 0 else None


def _means(one: Finding) -> str:
    return f"{_number(one.reference.mean)} → {_number(one.observed.mean)}"


def _number(value: float | None) -> str:
    return "none" if value is None else _signed(f"{value:.3g}")


def _signed(text: str) -> str:
    """Return a number with the sign that people read."""
    return text.replace("-", "\N{MINUS SIGN}", 1) if text.startswith("-") else text


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _rows(rows: int) -> str:
    return "1 row is" if rows == 1 else f"{rows} rows are"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
