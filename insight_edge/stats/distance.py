# SPDX-License-Identifier: Apache-2.0
"""How far apart two sets of counts are, feature by feature.

A feature's values fall into cells that add up to all rows: below the grid, its
bins, above it, missing. So a storm of NaN or a sensor out of range moves rows
from one cell to another like any other change. Which distance is too large is
decided elsewhere (`threshold`, `assess`). All are symmetric, and 0 where both
sides have equal shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from insight_edge.stats.grid import Grid
from insight_edge.stats.summary import Summary

Counts = NDArray[np.int64]
Scores = NDArray[np.float64]

SMOOTHING = 0.5
"""Rows that each cell is given beyond those counted, as a share of a window's: the same share on
both sides. An empty cell then has a finite distance from a full one, and equal shares none."""

OUTSIDE = 3
"""Cells beside the bins: below them, above them, missing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Rows counted by cell.

    Attributes:
        names: of the features, in order.
        counts: i8[features, cells]: below, the bins in order, above, missing. A feature of fewer
            bins than another has empty ones. Each feature adds up to the rows.
    """

    names: tuple[str, ...]
    counts: Counts

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return int(self.counts[0].sum()) if len(self.names) else 0

    def pick(self, names: Sequence[str]) -> Self:
        """Return some features, in the order of `names`.

        Raises:
            ValueError: one is not there.
        """
        chosen = [self.names.index(name) for name in names]
        return type(self)(names=tuple(names), counts=self.counts[chosen])


def cells_from_summary(summary: Summary) -> Cells:
    """Return what a summary counted, what lies outside apart from the outer bins that hold it."""
    grid, bins = summary.grid, summary.bins.copy()
    bins[:, 0] -= summary.below
    bins[np.arange(len(grid.names)), _last_bins(grid)] -= summary.above
    counts = np.column_stack([summary.below, bins, summary.above, summary.missing])
    return Cells(names=grid.names, counts=counts.reshape(len(grid.names), grid.bins + OUTSIDE))


def cells_of_rows(grid: Grid, rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return i8[rows, features], the cell that each value of f8[rows, features] falls into."""
    with np.errstate(all="ignore"):
        position = np.floor((rows - grid.low) / grid.cell)
        cells = grid.place(rows) + 1
        cells[position < 0] = 0
        cells[position >= grid.cells] = grid.bins + 1
    cells[np.isnan(position)] = grid.bins + 2
    return cells


def count_cells(grid: Grid, rows: NDArray[np.float64]) -> Cells:
    """Return some rows, f8[rows, features], counted by cell."""
    features, width = len(grid.names), grid.bins + OUTSIDE
    places = cells_of_rows(grid, rows) + np.arange(features) * width
    counts = np.bincount(places.ravel(), minlength=features * width)
    return Cells(names=grid.names, counts=counts.reshape(features, width))


def join_cells(parts: Sequence[Cells]) -> Cells:
    """Return the features of all parts, which counted the same rows over grids of their own."""
    widest = max((part.counts.shape[1] for part in parts), default=OUTSIDE)
    counts = [_widened(part.counts, widest) for part in parts]
    return Cells(
        names=tuple(name for part in parts for name in part.names),
        counts=np.vstack([np.zeros((0, widest), np.int64), *counts]),
    )


def psi(reference: Counts, observed: Counts, *, window_rows: int | None = None) -> Scores:
    """Return the population stability index along the last axis, 0 to about 10.

    Counts are [..., features, cells] and broadcast. A side that counted nothing has no distance
    from any other: NaN.

    Args:
        reference: one side.
        observed: the other.
        window_rows: that the smoothing is a share of, the same for all that is to be compared;
            None for those of the side with fewer. The more there are, the further apart are
            sides that have nothing in common.
    """
    score: Scores = contributions(reference, observed, window_rows=window_rows).sum(-1)
    return score


def contributions(reference: Counts, observed: Counts, *, window_rows: int | None = None) -> Scores:
    """Return what each cell adds to the population stability index; none is negative."""
    p, q = _shares(reference, observed, window_rows)
    parts: Scores = (p - q) * np.log(p / q)
    return parts


def jensen_shannon(reference: Counts, observed: Counts) -> Scores:
    """Return the Jensen-Shannon distance along the last axis, 0 to 1, of the plain shares."""
    with np.errstate(all="ignore"):
        p, q = _plain(reference), _plain(observed)
        middle = (p + q) / 2
        divergence = (_relative(p, middle) + _relative(q, middle)) / 2
    distance: Scores = np.sqrt(np.maximum(divergence, 0.0))
    return distance


def kolmogorov_smirnov(reference: Counts, observed: Counts) -> Scores:
    """Return the largest difference of the cumulated shares of the values present, 0 to 1.

    It sees no change within a bin, and none of the share that is missing.
    """
    with np.errstate(all="ignore"):
        p, q = _plain(reference[..., :-1]), _plain(observed[..., :-1])
        gap: Scores = np.abs(np.cumsum(p, -1) - np.cumsum(q, -1)).max(-1)
    return gap


def _shares(reference: Counts, observed: Counts, window_rows: int | None) -> tuple[Scores, Scores]:
    totals = reference.sum(-1, keepdims=True), observed.sum(-1, keepdims=True)
    with np.errstate(all="ignore"):
        added = SMOOTHING / (np.minimum(*totals) if window_rows is None else window_rows)
        shares = 1 + added * reference.shape[-1]
        return (reference / totals[0] + added) / shares, (observed / totals[1] + added) / shares


def _plain(counts: Counts) -> Scores:
    shares: Scores = counts / counts.sum(-1, keepdims=True)
    return shares


def _relative(p: Scores, q: Scores) -> Scores:
    """Return the relative entropy in bits; what is not there adds nothing."""
    information = p * np.log2(np.where(p > 0, p, 1.0) / np.where(q > 0, q, 1.0))
    total: Scores = information.sum(-1)
    return total


def _last_bins(grid: Grid) -> NDArray[np.int64]:
    return grid.lookup[:, -1].astype(np.int64)


def _widened(counts: Counts, cells: int) -> Counts:
    """Return the counts with empty bins after the last one."""
    empty = np.zeros((len(counts), cells - counts.shape[1]), np.int64)
    return np.hstack([counts[:, :-2], empty, counts[:, -2:]])
