# SPDX-License-Identifier: Apache-2.0
"""The evaluation of a classifier: counts, and rates with Wilson intervals. Pure.

Every figure follows from the confusion matrix alone, so that two evaluations of
disjoint rows could be added. Intervals: `stats.interval.wilson`, 95 %.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.codec import Document, Versioned
from insight_edge.stats.interval import wilson

CONFIDENCE = 0.95


class Rate(Document, frozen=True, kw_only=True):
    """A share of some rows.

    Attributes:
        value: None where there are no rows to take a share of.
        low, high: ends of the interval of `CONFIDENCE`; 0 and 1 where there are no rows.
    """

    successes: int
    total: int
    value: float | None
    low: float
    high: float


class ClassEvaluation(Document, frozen=True, kw_only=True):
    """One class.

    Attributes:
        precision: of the rows predicted to be of it, those that are.
        recall: of the rows that are of it, those predicted to be.
    """

    name: str
    precision: Rate
    recall: Rate


class ClassificationEvaluation(Versioned, frozen=True, kw_only=True):
    """A classifier on the rows of one split.

    Attributes:
        dataset, split: where the rows are from.
        confusion: rows by true class (first index) and predicted class (second).
        classes: in the order of the confusion matrix.
    """

    dataset: str
    split: str
    accuracy: Rate
    classes: tuple[ClassEvaluation, ...]
    confusion: tuple[tuple[int, ...], ...]


def evaluate(
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    classes: Sequence[str],
    *,
    dataset: str,
    split: str,
) -> ClassificationEvaluation:
    """Return the evaluation of predicted class indices (rows,) against the true ones (rows,).

    Raises:
        ValueError: the lengths differ, or an index has no class.
    """
    counts = confusion_matrix(labels, predicted, len(classes))
    right = np.diag(counts)
    return ClassificationEvaluation(
        dataset=dataset,
        split=split,
        accuracy=rate(int(right.sum()), int(counts.sum())),
        classes=tuple(
            ClassEvaluation(
                name=name,
                precision=rate(int(right[index]), int(counts[:, index].sum())),
                recall=rate(int(right[index]), int(counts[index].sum())),
            )
            for index, name in enumerate(classes)
        ),
        confusion=tuple(tuple(row) for row in counts.tolist()),
    )


def confusion_matrix(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Return counts (classes, classes) by true and predicted index.

    Raises:
        ValueError: the lengths differ, or an index has no class.
    """
    if labels.shape != predicted.shape:
        raise ValueError(f"{labels.shape} labels, {predicted.shape} predictions")
    both = np.stack([labels, predicted])
    if both.size and (both.min() < 0 or both.max() >= classes):
        raise ValueError(f"an index outside the {classes} classes")
    flat = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes)


def rate(successes: int, total: int) -> Rate:
    """Return a share with its interval."""
    if total == 0:
        return Rate(successes=0, total=0, value=None, low=0.0, high=1.0)
    low, high = wilson(successes, total, confidence=CONFIDENCE)
    return Rate(successes=successes, total=total, value=successes / total, low=low, high=high)
