# SPDX-License-Identifier: Apache-2.0
"""Challengers as people read them: one line for each bundle that one was compared with. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from insight_cloud.console.words import MISSING, figure, percent
from insight_cloud.telemetry.challenges import Challenged
from insight_edge.documents.challenge import Challenge, Disagreement
from insight_edge.stats.disagreement import STEP_DB
from insight_edge.stats.interval import wilson


@dataclass(frozen=True, kw_only=True)
class ChallengeLine:
    """A challenger beside one bundle that served.

    Attributes:
        differing: share of the rows that it answered otherwise, with its interval.
        outputs: of each output, how alike the answers were.
        calls, keys: what became of repeated calls, and of calls with a key.
    """

    told: Challenged
    against: str | None
    rows: int
    differing: str
    interval: str
    odd: int
    outputs: tuple[str, ...]
    calls: str
    keys: str


def challenge_lines(several: Iterable[Challenged]) -> tuple[ChallengeLine, ...]:
    """Return the lines of challengers; one that compared nothing has one all the same."""
    return tuple(
        _line(one, part) for one in several for part in (one.told.disagreements or (None,))
    )


def _line(one: Challenged, part: Disagreement | None) -> ChallengeLine:
    rows = 0 if part is None else part.rows
    differing, interval = _share(0 if part is None else part.differing, rows)
    return ChallengeLine(
        told=one,
        against=None if part is None else part.against,
        rows=rows,
        differing=differing,
        interval=interval,
        odd=0 if part is None else part.odd,
        outputs=()
        if part is None
        else tuple(
            f"{output.name}: {_ratio(output.decibels)}"
            for output in part.outputs
            if output.decibels
        ),
        calls=_calls(one.told),
        keys=_keys(one.told),
    )


def _share(part: int, total: int) -> tuple[str, str]:
    if not total:
        return MISSING, ""
    low, high = wilson(part, total)
    return percent(part / total, 2), f"{percent(low, 2)} to {percent(high, 2)}"


def _ratio(decibels: Mapping[str, int]) -> str:
    """Return the step in which half of the rows are at least as alike, and the worst."""
    steps = sorted((int(step), rows) for step, rows in decibels.items())
    half, seen = sum(rows for _, rows in steps) / 2, 0
    for step, rows in steps:
        seen += rows
        if seen >= half:
            worst = steps[0][0]
            return f"{step * STEP_DB:.0f} dB, {worst * STEP_DB:.0f} at worst"
    return MISSING


def _calls(told: Challenge) -> str:
    parts = [f"{figure(told.compared)} of {figure(told.sampled)} repeated"]
    if told.failed:
        parts.append(f"{figure(told.failed)} failed")
    return ", ".join(parts)


def _keys(told: Challenge) -> str:
    keyed = told.keyed_served + told.keyed_challenged
    if not keyed:
        return "none" if not told.share else f"{percent(told.share)} asked for, none came"
    parts = [f"{figure(told.keyed_challenged)} of {figure(keyed)} calls"]
    if told.fell_back:
        parts.append(f"{figure(told.fell_back)} it failed")
    return ", ".join(parts)
