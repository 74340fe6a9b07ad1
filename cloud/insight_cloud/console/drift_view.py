# SPDX-License-Identifier: Apache-2.0
"""What the pages of drift show: scores against their limit as a heat map, and accuracy. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from insight_cloud.console import words
from insight_cloud.console.tags import Kind, Tag
from insight_cloud.console.telemetry_view import clock_text
from insight_cloud.monitoring.alarm import FeatureFigures, Heatmap, HeatWindow, WindowAssessment
from insight_cloud.telemetry.joining import Joined

STEPS = 24
"""That accuracy is shown in, over the time of the windows beside it."""

LONGEST_S = 7 * 86_400.0
SHORTEST_STEP_S = 10
NO_LIMIT = -1.0

_TAGS: dict[str, Tag] = {
    "steady": Tag("steady", "good"),
    "drifted": Tag("drifted", "bad"),
    "too-few-samples": Tag("too few samples", "warn"),
    "no-thresholds": Tag("no thresholds", "warn"),
}
_PIECES = [
    {"value": NO_LIMIT, "label": "no limit", "shade": ["line", 1.0]},
    {"gte": 0, "lt": 0.5, "label": "below half the limit", "shade": ["accent", 0.1]},
    {"gte": 0.5, "lt": 1, "label": "below the limit", "shade": ["accent", 0.35]},
    {"gte": 1, "lt": 2, "label": "over the limit", "shade": ["bad", 0.4]},
    {"gte": 2, "label": "over twice the limit", "shade": ["bad", 0.8]},
]


@dataclass(frozen=True, kw_only=True)
class HeatCell:
    """A score in the table beside the picture."""

    text: str
    over: bool


@dataclass(frozen=True, kw_only=True)
class HeatLine:
    """A feature in the table beside the picture."""

    noun: str
    tested: bool
    cells: tuple[HeatCell, ...]


def verdict_tag(verdict: str) -> Tag:
    """Return how a verdict is shown."""
    return _TAGS.get(verdict, Tag(verdict))


def heat_chart(found: Heatmap) -> dict[str, Any]:
    """Return scores as multiples of the limit of their window; hues change at the limit."""
    cells = []
    for row, feature in enumerate(found.features):
        for column, window in enumerate(found.windows):
            score = found.scores[row][column]
            if score is None:
                continue
            ratio = NO_LIMIT if not window.limit else score / window.limit
            cells.append([column, row, round(ratio, 4), _told(feature.noun, score, window), ""])
    return {
        "kind": "heat",
        "columns": [f"{window.number}" for window in found.windows],
        "rows": [_name(one.noun, tested=one.tested) for one in found.features],
        "across": "window",
        "cells": cells,
        "numbers": False,
        "pieces": _PIECES,
    }


def heat_lines(found: Heatmap) -> tuple[HeatLine, ...]:
    """Return the same as rows of a table."""
    return tuple(
        HeatLine(
            noun=feature.noun,
            tested=feature.tested,
            cells=tuple(
                HeatCell(
                    text=words.figure(score),
                    over=score is not None and bool(window.limit) and score > (window.limit or 0),
                )
                for score, window in zip(scores, found.windows, strict=True)
            ),
        )
        for feature, scores in zip(found.features, found.scores, strict=True)
    )


def score_chart(found: Heatmap) -> dict[str, Any]:
    """Return the score of each window, and the limit it had."""
    return {
        "kind": "lines",
        "labels": [f"{window.number}" for window in found.windows],
        "axes": ["score"],
        "floor": [0],
        "series": [
            {"name": "score", "colour": "accent", "values": [one.score for one in found.windows]},
            {
                "name": "limit",
                "colour": "bad",
                "dashed": True,
                "values": [one.limit for one in found.windows],
            },
        ],
    }


def accuracy_chart(hours: Sequence[Joined]) -> dict[str, Any]:
    """Return the share of right answers over time, and of how many outcomes."""
    return {
        "kind": "lines",
        "labels": [clock_text(one.begin_s) for one in hours],
        "axes": ["outcomes", "right"],
        "floor": [0, 0],
        "ceiling": [None, 1],
        "series": [
            {
                "name": "outcomes",
                "bars": True,
                "colour": "line",
                "values": [one.judged for one in hours],
            },
            {
                "name": "accuracy",
                "axis": 1,
                "colour": "good",
                "values": [one.correct / one.judged if one.judged else None for one in hours],
            },
        ],
    }


def steps_of(found: Heatmap, now_s: float) -> tuple[float, int]:
    """Return since when accuracy is shown beside some windows, and in steps of how many seconds."""
    since_s = min((one.opened_s for one in found.windows), default=now_s)
    since_s = min(max(since_s, now_s - LONGEST_S), now_s)
    return since_s, max(SHORTEST_STEP_S, math.ceil((now_s - since_s) / STEPS))


def accuracy_of(hours: Sequence[Joined]) -> float | None:
    """Return the share of right answers over all steps; None without outcomes."""
    judged = sum(one.judged for one in hours)
    return sum(one.correct for one in hours) / judged if judged else None


def feature_kind(one: FeatureFigures, window: WindowAssessment) -> Kind:
    """Return the colour of a feature's score."""
    over = one.tested and window.limit is not None and one.score > window.limit
    return "bad" if over else ""


def change_text(pair: tuple[float | None, float | None]) -> str:
    """Return a figure of the reference and of the window."""
    return f"{words.figure(pair[0])} → {words.figure(pair[1])}"


def _name(noun: str, *, tested: bool) -> str:
    return noun if tested else f"{noun} (untested)"


def _told(noun: str, score: float, window: HeatWindow) -> str:
    limit = "no limit" if window.limit is None else f"limit {words.figure(window.limit)}"
    return f"{noun}, window {window.number}: {words.figure(score)}, {limit}, {window.rows} rows"
