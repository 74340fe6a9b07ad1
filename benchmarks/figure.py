# SPDX-License-Identifier: Apache-2.0
"""A figure, whether it keeps its bar, and what a program exits with: pure."""

from collections.abc import Iterable
from math import nan
from typing import Literal

import msgspec

from insight_edge.bench.verdict import MIN_ROUNDS
from insight_edge.documents.evidence import Interval
from insight_edge.stats.interval import Estimate

Verdict = Literal["WITHIN", "OVER", "NOISY"]
Unit = Literal["x", "us", "ms", "s", "%", "MB", ""]

OK, A_BAR_EXCEEDED, NOT_MEASURED = 0, 1, 3
"""Exit codes; those of `insight-edge` that mean the same."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, against what, and how it stands.

    Attributes:
        name: of the benchmark, as the command line takes it.
        case: under which it was taken.
        measured, peer: what is compared with what.
        unit: `x` for a ratio (below 1 is less than the peer), `us` and `MB` for a difference, `s`
            and `ms` for what was timed once, `%` for a share, `` for a count.
        value: not a number where there was none to take; the note says why.
        rounds: of paired measurements that the interval resamples.
        bar: the most it may be; None where it is only shown.
        verdict: None without a bar.
        note: facts about the measurement that the value does not hold.
    """

    name: str
    case: str
    measured: str
    peer: str
    unit: Unit
    value: Interval
    rounds: int
    bar: float | None = None
    verdict: Verdict | None = None
    note: str = ""


def figure_from_estimate(
    estimate: Estimate,
    *,
    name: str,
    case: str,
    compared: tuple[str, str],
    unit: Unit = "x",
    rounds: int,
    bar: float | None = None,
    note: str = "",
) -> Figure:
    """Return a figure and its verdict."""
    value, low, high = estimate
    return Figure(
        name=name,
        case=case,
        measured=compared[0],
        peer=compared[1],
        unit=unit,
        value=Interval(value=value, low=low, high=high),
        rounds=rounds,
        bar=bar,
        verdict=None if bar is None else judge(low, high, bar, rounds),
        note=note,
    )


def figure_not_taken(name: str, case: str, *, measured: str, peer: str, reason: str) -> Figure:
    """Return what stands where there is no figure: not a number, and why."""
    nothing = Interval(value=nan, low=nan, high=nan, confidence=1.0)
    return Figure(
        name=name, case=case, measured=measured, peer=peer, unit="", value=nothing, rounds=0,
        note=reason,
    )  # fmt: skip


def figure_from_count(count: int, *, name: str, case: str, counted: str, total: int) -> Figure:
    """Return the figure of something that must never happen; it was counted, not estimated."""
    return Figure(
        name=name,
        case=case,
        measured=counted,
        peer=f"of {total}",
        unit="",
        value=Interval(value=count, low=count, high=count, confidence=1.0),
        rounds=1,
        bar=0.0,
        verdict="OVER" if count else "WITHIN",
    )


def judge(low: float, high: float, bar: float, rounds: int) -> Verdict:
    """Return on which side of the bar the interval lies; NOISY where it lies on both."""
    if rounds < MIN_ROUNDS:
        return "NOISY"
    if high <= bar:
        return "WITHIN"
    return "OVER" if low > bar else "NOISY"


def exit_code(figures: Iterable[Figure]) -> int:
    """Return 1 where a bar is exceeded beyond doubt, else 3 where one is in doubt, else 0."""
    verdicts = {figure.verdict for figure in figures}
    if "OVER" in verdicts:
        return A_BAR_EXCEEDED
    return NOT_MEASURED if "NOISY" in verdicts else OK
