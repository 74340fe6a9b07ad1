# SPDX-License-Identifier: Apache-2.0
"""What the pages of models and versions show. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from insight_cloud.console import words
from insight_cloud.evaluation.classification import ClassificationEvaluation
from insight_cloud.registry.rules import ModelVersion
from insight_cloud.releases.rules import Release

_PIECES = [
    {"lt": -0.9, "label": "right, over 90 %", "shade": ["accent", 0.5]},
    {"gte": -0.9, "lt": 0, "label": "right, fewer", "shade": ["accent", 0.22]},
    {"value": 0, "label": "none", "shade": ["hover", 1.0]},
    {"gt": 0, "lt": 0.05, "label": "wrong, below 5 %", "shade": ["warn", 0.25]},
    {"gte": 0.05, "label": "wrong, more", "shade": ["bad", 0.45]},
]


@dataclass(frozen=True, kw_only=True)
class ModelLine:
    """A model as it is shown in a table."""

    name: str
    latest: ModelVersion
    versions: int
    aliases: Mapping[str, int]
    releases: int
    profiles: tuple[str, ...]


def model_line(
    versions: Sequence[ModelVersion], aliases: Mapping[str, int], releases: Sequence[Release]
) -> ModelLine:
    """Return a model, of which there is a version, as it is shown."""
    latest = versions[-1]
    mine = [one for one in releases if one.model == latest.model]
    return ModelLine(
        name=latest.model,
        latest=latest,
        versions=len(versions),
        aliases=aliases,
        releases=len(mine),
        profiles=tuple(sorted({one.profile for one in mine})),
    )


def headline(metrics: Mapping[str, float]) -> tuple[str, float] | None:
    """Return the metric that a version is told by."""
    for name in ("final.accuracy", "accuracy", "validation.accuracy"):
        if name in metrics:
            return name, metrics[name]
    return next(iter(sorted(metrics.items())), None)


def metric_tiles(metrics: Mapping[str, float]) -> tuple[tuple[str, float, str], ...]:
    """Return metrics with their intervals, which are metrics with names that end so."""
    found = []
    for name, value in metrics.items():
        low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
        if name.endswith(("_low", "_high")) and name.rpartition("_")[0] in metrics:
            continue
        known = low is not None and high is not None
        under = f"{words.figure(low)} to {words.figure(high)}, 95 %" if known else ""
        found.append((name, value, under))
    return tuple(found)


def history_chart(versions: Sequence[ModelVersion]) -> dict[str, Any] | None:
    """Return the metrics that are shares over all versions; None where there is nothing to see."""
    names = sorted({name for one in versions for name, *_ in metric_tiles(one.metrics)})
    shares = [
        name
        for name in names
        if all(0 <= one.metrics[name] <= 1 for one in versions if name in one.metrics)
    ]
    if len(versions) < 2 or not shares:
        return None
    colours = ("accent", "good", "warn", "info")
    return {
        "kind": "lines",
        "labels": [str(one.number) for one in versions],
        "axes": ["share"],
        "series": [
            {
                "name": name,
                "colour": colours[index],
                "values": [one.metrics.get(name) for one in versions],
            }
            for index, name in enumerate(shares[: len(colours)])
        ],
    }


def confusion_chart(evaluation: ClassificationEvaluation) -> dict[str, Any]:
    """Return the confusion matrix, shaded by the share of each true class."""
    names = [one.name for one in evaluation.classes]
    cells = []
    for row, counts in enumerate(evaluation.confusion):
        total = sum(counts)
        for column, count in enumerate(counts):
            share = count / total if total else 0.0
            text = f"{count} of {total} that are {names[row]} were called {names[column]}"
            value = -share if row == column else share
            cells.append([column, row, round(value, 4), text, str(count) if count else ""])
    return {
        "kind": "heat",
        "columns": names,
        "rows": names,
        "across": "called",
        "down": "is",
        "cells": cells,
        "numbers": len(names) <= 16,
        "pieces": _PIECES,
    }
