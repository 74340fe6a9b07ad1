# SPDX-License-Identifier: Apache-2.0
"""The metric of a task: how good each row's answer is, from 0 to 1, for source and target alike.

    labels                          metric      a row scores
    (n,) integers                   accuracy    1 where the class is right, else 0
    (n, ...) integers               mean IoU    overlap of each class in its image, their mean
    (n, ...) real numbers           1 - MAE     1 less its mean error in spreads of all labels
    none                            agreement   1 where it says the source model's class, or the
                                                share of its elements that are close to those

Pure: arrays in, scores out. How much may be lost is decided in `compile.trials.verify`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.rows.closeness import Figures, Outputs, Rows, classes, flat, says_class
from insight_edge.errors import ConfigurationError

Labels = NDArray[np.generic]
Specs = Mapping[str, tuple[int, ...]]

HINT = (
    "labels are (n,) class indices, (n, ...) class indices of every element, or numbers of the "
    "shape of an output"
)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The score of each row, f8[n] from 0 to 1.

    Attributes:
        metric: its name; `agreement` where there is none that labels give.
        binary: every score is 0 or 1.
    """

    metric: str
    source: Figures
    target: Figures
    binary: bool


def score(source: Outputs, target: Outputs, labels: Labels, *, ranked: bool) -> Scores | None:
    """Return the scores that labels give, or None where no output says a class.

    Args:
        source: (n, ...) raw outputs of the source model by name.
        target: the same of the artifact.
        labels: of the same rows.
        ranked: (n, k) numbers are scores of classes.

    Raises:
        ConfigurationError: they fit no output.
    """
    name = scored_output(source, labels, ranked=ranked)
    if name is None:
        return None
    wanted, found = source[name], target[name]
    if labels.dtype.kind == "f":
        return Scores(
            metric="1 - MAE",
            source=_closeness(wanted, labels),
            target=_closeness(found, labels),
            binary=False,
        )
    if labels.ndim > 1:
        return Scores(
            metric="mean IoU",
            source=_overlap(wanted, labels),
            target=_overlap(found, labels),
            binary=False,
        )
    right = [(classes(rows) == labels).astype(np.float64) for rows in (wanted, found)]
    return Scores(metric="accuracy", source=right[0], target=right[1], binary=True)


def scored_output(outputs: Outputs, labels: Labels, *, ranked: bool) -> str | None:
    """Return the first output that labels speak of; None where none says a class.

    Raises:
        ConfigurationError: labels of other than classes of rows fit no output.
    """
    if labels.dtype.kind == "f":
        names = [name for name, rows in outputs.items() if _fits(rows, labels)]
    elif labels.ndim > 1:
        names = [name for name, rows in outputs.items() if _class_axis(rows, labels) is not None]
    else:
        return next((n for n, rows in outputs.items() if ranked and says_class(rows)), None)
    if not names:
        shapes = ", ".join(f"{name} {list(rows.shape)}" for name, rows in outputs.items())
        raise ConfigurationError(
            f"'labels' of {list(labels.shape)} {labels.dtype} fit no output: {shapes}", hint=HINT
        )
    return names[0]


def _fits(rows: Rows, labels: Labels) -> bool:
    return rows.dtype.kind == "f" and flat(rows).shape == flat(labels).shape


def _closeness(rows: Rows, labels: Labels) -> Figures:
    """Return 1 less the mean error of each row over the standard deviation of all labels."""
    truth = flat(labels)
    spread = float(truth.std()) or 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(flat(rows) - truth).mean(axis=1) / spread
    scores: Figures = 1 - np.clip(np.nan_to_num(error, nan=1.0), 0, 1)
    return scores


def _class_axis(rows: Rows, labels: Labels) -> int | None:
    """Return the axis of scores, or 0 where each element is a class already."""
    if rows.dtype.kind in "iu":
        return 0 if rows.shape == labels.shape else None
    for axis in (1, rows.ndim - 1):
        if rows.ndim == labels.ndim + 1 and _without(rows.shape, axis) == labels.shape:
            return axis
    return None


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def _overlap(rows: Rows, labels: Labels) -> Figures:
    """Return each row's intersection over union, the mean of the classes in label or answer."""
    axis = _class_axis(rows, labels)
    said = np.argmax(rows, axis=axis) if axis else rows
    answer, truth = said.reshape(len(rows), -1), labels.reshape(len(rows), -1)
    return np.array([_row_overlap(one, other) for one, other in zip(answer, truth, strict=True)])


def _row_overlap(answer: Rows, truth: Labels) -> float:
    shares = [
        float(((answer == one) & (truth == one)).sum() / ((answer == one) | (truth == one)).sum())
        for one in np.union1d(answer, truth)
    ]
    return float(np.mean(shares)) if shares else 1.0
