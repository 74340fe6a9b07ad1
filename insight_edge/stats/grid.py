# SPDX-License-Identifier: Apache-2.0
"""A bin grid: which bin a value of a feature falls into, and how that was decided.

Each feature is covered by equal cells; a table maps cell to bin, so that
placing a value is one division and one look-up, the same on the device as at
the time of the reference (rules S1, S2 and S4 in docs/formats/statistics.md).
This module counts nothing: `tally` does.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from operator import mul

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.stats.sha256 import sha256

MAX_CELLS = 4096
"""Cells a feature; rule S3 clips far outside of them."""

MAX_BINS = 256
"""The look-up table holds one byte a cell."""

_BYTES = tuple(bytes((index,)) for index in range(MAX_BINS))

_LARGEST = 2.0**990
"""Reference values beyond are taken as this, so that no width of them overflows."""

_SMALLEST_CELL = 2.0**-990
_FINEST_CELL = 2.0**-44
"""Of the largest reference value: what remains of 53 bits resolves a 64th of a cell."""


class Grid(msgspec.Struct, frozen=True, kw_only=True, eq=False, dict=True):
    """The bins of every feature.

    Attributes:
        names: of the features, in order.
        low: f8[features], where the first cell starts.
        cell: f8[features], the width of a cell, positive.
        lookup: u1[features, cells], the bin of each cell: from 0, never falling.

    Raises:
        ValueError: shapes disagree, or the values are not a grid.
    """

    names: tuple[str, ...]
    low: NDArray[np.float64]
    cell: NDArray[np.float64]
    lookup: NDArray[np.uint8]

    def __post_init__(self) -> None:
        features = (len(self.names),)
        if self.lookup.dtype != np.uint8:
            raise ValueError(f"lookup is {self.lookup.dtype}, not uint8")
        if self.lookup.ndim != 2 or not self.low.shape == self.cell.shape == features:
            raise ValueError("names, low, cell and lookup disagree in shape")
        if self.lookup.shape[0] != len(self.names) or not 1 <= self.lookup.shape[1] <= MAX_CELLS:
            raise ValueError(f"lookup is {self.lookup.shape}, not features by 1 to {MAX_CELLS}")
        if not (np.isfinite(self.low).all() and np.isfinite(self.cell).all()):
            raise ValueError("low and cell must be finite")
        if (self.cell <= 0).any():
            raise ValueError("a cell must be wider than 0")
        # Bytes less bytes: what falls comes out far above 1.
        if (np.diff(self.lookup, axis=1) > 1).any() or self.lookup[:, 0].any():
            raise ValueError("bins must start at 0 and rise one by one")
        for values in (self.low, self.cell, self.lookup):
            values.flags.writeable = False

    @property
    def cells(self) -> int:
        """How many cells every feature has."""
        return int(self.lookup.shape[1])

    @cached_property
    def bins(self) -> int:
        """How many bins the feature with the most has."""
        return int(self.lookup.max(initial=0)) + 1

    @cached_property
    def digest(self) -> str:
        """Identity of the grid: `sha256:` over names, cells and look-up tables (rule S4)."""
        state = sha256(self.lookup.nbytes)
        state.update(np.array(self.lookup.shape, "<i8").tobytes())
        for index, name in enumerate(self.names):
            text = name.encode()
            state.update(np.array([len(text)], "<i8").tobytes() + text)
            state.update(np.array([self.low[index], self.cell[index]], "<f8").tobytes())
            state.update(self.lookup[index].tobytes())
        return "sha256:" + state.hexdigest()

    def place(self, rows: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the bin of each value, f8[rows, features] to i8[rows, features]; NaN is -1.

        Values outside the cells, infinities among them, go to the outer bins.
        """
        with np.errstate(all="ignore"):
            index = np.floor((rows - self.low) / self.cell)
        missing = np.isnan(index)
        index = np.where(missing, 0.0, np.clip(index, 0, self.cells - 1)).astype(np.int64)
        bins = self.lookup[np.arange(len(self.names)), index].astype(np.int64)
        bins[missing] = -1
        return bins


def grid_from_rows(
    names: Sequence[str], rows: NDArray[np.float64], *, bins: int = 16, cells: int = 1024
) -> Grid:
    """Return a grid whose bins hold about equal shares of the reference rows, f8[rows, features].

    NaN and infinite values are left out. A feature of few distinct values gets a bin each; a
    constant one gets three: below it, its own, above it.

    Raises:
        ValueError: `rows` is not rows by features, or bins or cells are out of bounds.
    """
    if not 3 <= bins <= min(MAX_BINS, cells) or not cells <= MAX_CELLS:
        raise ValueError(f"{bins} bins over {cells} cells: 3 to {MAX_BINS} over {MAX_CELLS}")
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise ValueError(f"rows are {rows.shape}, not rows by {len(names)} features")
    low, cell = np.zeros(len(names)), np.ones(len(names))
    lookup = np.zeros((len(names), cells), np.uint8)
    for index, column in enumerate(np.asarray(rows, np.float64).T):
        values = np.clip(column[np.isfinite(column)], -_LARGEST, _LARGEST)
        low[index], cell[index] = _span(values if values.size else np.zeros(1), bins, cells)
        starts = _starts(values, low[index], cell[index], bins=bins, cells=cells)
        lookup[index] = lookup_from_starts(starts, cells)
    return Grid(names=tuple(names), low=low, cell=cell, lookup=lookup)


def lookup_from_starts(starts: Sequence[int], cells: int) -> NDArray[np.uint8]:
    """Return u1[cells], the bin of each cell, from the first cell of every bin.

    Raises:
        ValueError: the starts are not 0 and then rising below `cells`, or either are too many.
    """
    if cells > MAX_CELLS:
        raise ValueError(f"{cells} cells, at most {MAX_CELLS}")
    edges = (*starts, cells)
    runs = [end - start for start, end in pairwise(edges)]
    if edges[0] != 0 or not 0 < len(runs) <= MAX_BINS or min(runs) < 1:
        raise ValueError(f"bins must start at cell 0 and rise below {cells}")
    # A runtime reads a hundred before its first answer: bytes take a fifth of NumPy's time.
    return np.frombuffer(b"".join(map(mul, _BYTES, runs)), np.uint8)


def _span(values: NDArray[np.float64], bins: int, cells: int) -> tuple[float, float]:
    """Return low and cell: the smallest and largest value in the middle of the outer cells."""
    least, most = _range(values, bins)
    largest = max(abs(least), abs(most))
    if least == most:
        cell = max((largest or 1.0) / (cells - 1), _SMALLEST_CELL)
        return least - (cells // 2 + 0.5) * cell, cell
    cell = max((most - least) / (cells - 1), largest * _FINEST_CELL, _SMALLEST_CELL)
    return least - cell / 2, cell


def _range(values: NDArray[np.float64], bins: int) -> tuple[float, float]:
    """Return the values that cells reach from and to.

    They stop one distance between the outermost quantile edges beyond these, so that a few wild
    reference values cannot squeeze all others into one cell. Where nearly all values are the
    same, the quantiles are those of the distinct values.
    """
    least, most = float(values.min()), float(values.max())
    for sample in (values, np.unique(values)):
        first, last = (float(edge) for edge in np.quantile(sample, (1 / bins, 1 - 1 / bins)))
        if last > first:
            return max(least, 2 * first - last), min(most, 2 * last - first)
    return least, most


def _starts(
    values: NDArray[np.float64], low: float, cell: float, *, bins: int, cells: int
) -> list[int]:
    """Return the first cell of each bin: equal shares of what is left, one a value if they fit."""
    with np.errstate(over="ignore"):  # infinity is clipped like any other value far outside
        index = np.clip(np.floor((values - low) / cell), 0, cells - 1).astype(np.int64)
    occupied, shares = np.unique(index, return_counts=True)
    if len(occupied) <= 1:
        return [0, cells // 2, cells // 2 + 1]
    starts, held, left, open_bins = [0], int(shares[0]), int(shares.sum()), bins
    for at in range(1, len(occupied)):
        enough = held + shares[at] / 2 > left / open_bins
        if open_bins > 1 and (enough or len(occupied) - at < open_bins):
            starts.append(int(occupied[at - 1] + occupied[at] + 1) // 2)
            left, open_bins, held = left - held, open_bins - 1, 0
        held += int(shares[at])
    return starts
