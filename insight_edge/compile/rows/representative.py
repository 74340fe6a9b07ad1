# SPDX-License-Identifier: Apache-2.0
"""Few rows that stand for many, for quantisation to look at: the same ones every time.

Scales come from the largest and smallest numbers seen, so the rows that hold
them are taken first. Then one row of every class. The rest is a systematic
sample of the rows in order of class, which gives each class its share (W. G.
Cochran, Sampling Techniques, 3rd edition 1977, chapters 5 and 8). Pure.
"""

import math

import numpy as np
from numpy.typing import NDArray

EXTREMES_SHARE = 4
"""At most one in so many is taken for being extreme: mean corrections want ordinary rows."""

Figures = NDArray[np.float64]


def row_figures(rows: NDArray[np.generic]) -> Figures:
    """Return f8[n, 4]: maximum, minimum, mean and standard deviation of each row (n, ...).

    Text counts by its length.
    """
    if rows.dtype.kind == "U":
        rows = np.strings.str_len(rows.astype(np.str_, copy=False))
    flat = rows.reshape(len(rows), math.prod(rows.shape[1:])).astype(np.float64)
    if not flat.shape[1]:
        return np.zeros((len(rows), 4))
    with np.errstate(invalid="ignore", over="ignore"):
        return np.stack([flat.max(1), flat.min(1), flat.mean(1), flat.std(1)], axis=1)


def representative(
    figures: Figures, labels: NDArray[np.integer] | None, wanted: int
) -> NDArray[np.intp]:
    """Return the numbers of `wanted` rows, ascending; all where there are no more.

    Args:
        figures: f8[n, k], what is known of each row.
        labels: (n,) class indices, or None.
        wanted: at least 1.
    """
    count = len(figures)
    if count <= wanted:
        return np.arange(count)
    classes = np.zeros(count, np.int64) if labels is None else labels
    chosen = _extremes(figures)[: max(1, wanted // EXTREMES_SHARE)]
    chosen += _uncovered(classes, chosen)
    chosen = chosen[:wanted]
    left = np.setdiff1d(np.arange(count), chosen)
    ordered = left[np.argsort(classes[left], kind="stable")]
    picked = np.linspace(0, len(ordered) - 1, wanted - len(chosen)).astype(np.int64)
    return np.sort(np.concatenate([np.array(chosen, np.intp), ordered[picked]]))


def _extremes(figures: Figures) -> list[int]:
    """Return the rows with the largest and smallest of each figure, each once."""
    ends = [end for column in figures.T for end in (int(column.argmax()), int(column.argmin()))]
    return list(dict.fromkeys(ends))


def _uncovered(classes: NDArray[np.integer], chosen: list[int]) -> list[int]:
    """Return the first row of every class that none of the chosen has."""
    names, first = np.unique(classes, return_index=True)
    covered = set(classes[chosen].tolist())
    pairs = zip(names.tolist(), first.tolist(), strict=True)
    return [int(row) for name, row in pairs if name not in covered]
