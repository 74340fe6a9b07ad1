# SPDX-License-Identifier: Apache-2.0
"""A tally: the writer that counts rows into a flat block of 64-bit words.

The words may lie in a memory-mapped file, so that a crash of the process does
not lose them. All words zero is the empty tally: a new file needs no setting
up. One thread writes; a reader beside it needs its own copy of the words.
`summary` has the value that is merged and sent.

It is written beside threads that answer callers. Whatever takes longer than a few
microseconds is a NumPy call that gives up the interpreter meanwhile; `bincount`,
`add.at` and products of vectors do not.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insight_edge.stats.grid import Grid
from insight_edge.stats.summary import LIMIT_UNITS, UNITS_PER_CELL, Summary

Rows = NDArray[np.float64]
Where = NDArray[np.bool_]

MAX_ROWS = 2**22
"""Rows that one tally counts: squares of at most 2^40 then add up to at most 2^62."""

_LIMIT_CELLS = LIMIT_UNITS / UNITS_PER_CELL
_BLOCK_ELEMENTS, _BLOCK_ROWS = 128 * 1024, 4096
"""A block has at most so many values and rows: what it needs is a MiB or two, and its sums are
exact in float64."""

_BELOW, _ABOVE, _MISSING = 0, 1, 2
_SLOTS = 3
"""Counters a feature before its bins; the bins hold the values inside the cells."""

_ABSENT = np.array([[np.inf], [-np.inf]]).view(np.int64)
"""The bits of a minimum and a maximum of nothing."""


class Counted(NamedTuple):
    """What became of some rows.

    Attributes:
        rows: that were counted.
        unusual: of these, rows with a value that is NaN or outside the grid's cells.
    """

    rows: int
    unusual: int


class Workspace:
    """What counting over a grid needs besides the counters.

    Tallies of one grid may share it.

    Attributes:
        grid: that is counted over.
        rows: how many are counted at a time.
        starts: i[features], added to the place of a value in its feature, it is a place in all.
        edges: i[features * counters + 1], the first place of each counter, and one after the last.
        order: of the counters of a feature among its edges.
    """

    def __init__(self, grid: Grid) -> None:
        features, stride = len(grid.names), grid.cells + _SLOTS
        self.grid = grid
        self.rows = max(1, min(_BLOCK_ROWS, _BLOCK_ELEMENTS // max(1, features)))
        firsts = np.arange(features)[:, None] * stride
        dtype = np.promote_types(np.int16, np.min_scalar_type(-features * stride - 1))
        self.starts = (firsts + 1).astype(dtype)
        self.edges = np.append(firsts + _edges(grid), features * stride).astype(dtype)
        self.order = [0, *range(grid.bins + 1, grid.bins + _SLOTS), *range(1, grid.bins + 1)]


class Tally:
    """Counts rows over a grid into `Tally.words(grid)` words.

    Args:
        grid: what to count over.
        buffer: i8[words] to count into, with what it already holds; None for memory of its own.
        workspace: of the same grid; None for one of its own.

    Raises:
        ValueError: the buffer has another length or dtype.
    """

    def __init__(
        self,
        grid: Grid,
        buffer: NDArray[np.int64] | None = None,
        workspace: Workspace | None = None,
    ) -> None:
        words = self.words(grid)
        buffer = np.zeros(words, np.int64) if buffer is None else buffer
        if buffer.shape != (words,) or buffer.dtype != np.int64:
            raise ValueError(f"buffer is {buffer.dtype}{buffer.shape}, not int64({words},)")
        self.grid = grid
        self._buffer = buffer
        features, stride = len(grid.names), _SLOTS + grid.bins
        counters, moments, extremes = np.split(
            buffer[1:], np.cumsum([features * stride, 2 * features])
        )
        self._counters = counters.reshape(features, stride)
        self._sums, self._squares = moments.reshape(2, features)
        self._extremes = extremes.reshape(2, features)
        self._workspace = Workspace(grid) if workspace is None else workspace

    @staticmethod
    def words(grid: Grid) -> int:
        """Return how many 64-bit words a tally over the grid needs."""
        return 1 + len(grid.names) * (_SLOTS + grid.bins + 4)

    @property
    def count(self) -> int:
        """Rows counted so far."""
        return int(self._buffer[0])

    def observe(self, rows: Rows, *, spent: bool = False) -> Counted:
        """Count rows, f8[rows, features]; fewer of them once `MAX_ROWS` are held.

        Any float is counted: NaN as missing, infinities below or above.

        Args:
            rows: to count.
            spent: nobody needs them any more: they are overwritten, which saves a copy.

        Raises:
            ValueError: the rows have another number of features.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.grid.names):
            raise ValueError(f"rows are {rows.shape}, not rows by {len(self.grid.names)} features")
        rows, each = rows[: MAX_ROWS - self.count], self._workspace.rows
        with np.errstate(all="ignore"):
            unusual = [
                self._observe(rows[start : start + each], spent=spent)
                for start in range(0, len(rows), each)
            ]
        return Counted(len(rows), sum(unusual))

    def summary(self) -> Summary:
        """Return what has been counted, apart from later rows."""
        counters = self._counters.copy()
        below, above, bins = counters[:, _BELOW], counters[:, _ABOVE], counters[:, _SLOTS:]
        bins[:, 0] += below
        bins[np.arange(len(bins)), self.grid.lookup[:, -1]] += above
        minimum, maximum = _floats_from_words(self._extremes)
        return Summary(
            grid=self.grid,
            count=self.count,
            missing=counters[:, _MISSING],
            below=below,
            above=above,
            bins=bins,
            sums=self._sums.astype(np.object_),
            squares=self._squares.astype(np.object_),
            minimum=minimum,
            maximum=maximum,
        )

    def reset(self) -> None:
        """Forget all rows."""
        self._buffer[:] = 0

    def _observe(self, rows: Rows, *, spent: bool) -> int:
        """Count a block and return how many of its rows are unusual."""
        low, cell = self.grid.low, self.grid.cell
        ends = np.stack([np.minimum.reduce(rows, axis=0), np.maximum.reduce(rows, axis=0)])
        # Most blocks are finite, and then need neither NaN nor infinity looked after. NaN and
        # infinity are at an end, and so is what is too far from `low` to have a finite position.
        finite = bool(np.isfinite((ends - low) / cell).all())
        self._stretch(*(ends if finite else _finite_ends(rows)))
        position = np.subtract(rows, low, out=rows if spent else None)
        np.divide(position, cell, out=position)
        np.clip(position, -_LIMIT_CELLS, _LIMIT_CELLS, out=position)
        missing = None if finite else np.isnan(position)
        unusual = self._count(position, missing)
        self._add(position, missing)
        self._buffer[0] += len(rows)
        return unusual

    def _count(self, position: Rows, missing: Where | None) -> int:
        """Count what every value falls into; return how many rows are unusual."""
        cells, space = self.grid.cells, self._workspace
        places = np.empty(position.T.shape, space.starts.dtype)
        # In the memory of the places, which are not known before cells are by feature.
        cell = places.reshape(-1).view(np.int16)[: position.size].reshape(position.shape)
        np.floor(position, out=cell, casting="unsafe")  # within the limit, so within 16 bits
        np.clip(cell, -1, cells, out=cell)
        if missing is not None:
            np.copyto(cell, cells + 1, where=missing)
        # As unsigned numbers, what is below the cells is far above them.
        unusual = np.greater_equal(cell.view(np.uint16), cells).any(axis=1)
        by_feature = cell.T.copy()
        by_feature.sort(axis=1)
        np.add(by_feature, space.starts, out=places)
        counts = np.diff(places.reshape(-1).searchsorted(space.edges))
        self._counters += counts.reshape(self._counters.shape)[:, space.order]
        return int(np.count_nonzero(unusual))

    def _add(self, position: Rows, missing: Where | None) -> None:
        """Add values and squares in whole units: integers below 2^53, exact in any order.

        The positions are overwritten.
        """
        units = np.multiply(position, UNITS_PER_CELL, out=position)
        np.rint(units, out=units)
        if missing is not None:
            np.copyto(units, 0.0, where=missing)
        self._sums += np.add.reduce(units, axis=0).astype(np.int64)
        np.multiply(units, units, out=units)
        self._squares += np.add.reduce(units, axis=0).astype(np.int64)

    def _stretch(self, least: Rows, most: Rows) -> None:
        """Extend minimum and maximum, f8[features] each."""
        extremes = _floats_from_words(self._extremes)
        np.minimum(extremes[0], least, out=extremes[0])
        np.maximum(extremes[1], most, out=extremes[1])
        # Adding 0 makes -0.0 into 0.0: the two are equal, and merging must not choose.
        np.add(extremes, 0.0, out=extremes)
        np.bitwise_xor(extremes.view(np.int64), _ABSENT, out=self._extremes)


def _finite_ends(rows: Rows) -> tuple[Rows, Rows]:
    """Return the least and the largest finite value of each feature, as `_ABSENT` for none."""
    present = np.isfinite(rows)
    return (
        np.where(present, rows, np.inf).min(axis=0),
        np.where(present, rows, -np.inf).max(axis=0),
    )


def _edges(grid: Grid) -> NDArray[np.int64]:
    """Return i8[features, counters], the first place of each counter of a feature.

    A feature has a place below its cells, its cells, one above them, one for NaN. A bin that
    it has not begins where its cells end.
    """
    bins = np.arange(grid.bins)
    of_bins = [np.searchsorted(lookup, bins) + 1 for lookup in grid.lookup]
    edges = np.zeros((len(grid.names), _SLOTS + grid.bins), np.int64)
    edges[:, 1:-2] = np.reshape(of_bins, (len(grid.names), grid.bins))
    edges[:, -2:] = grid.cells + 1, grid.cells + 2
    return edges


def _floats_from_words(words: NDArray[np.int64]) -> Rows:
    """Return f8[2, features] of words in which 0 stands for the infinity that no value has moved.

    So zeroed memory holds neither a minimum nor a maximum.
    """
    return (words ^ _ABSENT).view(np.float64)
