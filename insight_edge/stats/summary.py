# SPDX-License-Identifier: Apache-2.0
"""A summary: what was counted of some rows over a grid, never changed again.

Summaries over one grid form a commutative monoid: `merge` is exactly
associative and commutative, `Summary.zero` is neutral. Sums are integers of
any size in grid units (rule S3), so nothing is rounded after the first
rounding of each value. `tally` writes what is kept here.
"""

from collections.abc import Iterator
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.stats.grid import Grid

UNITS_PER_CELL = 64
"""A value is rounded to this part of a cell before it is summed (rule S3)."""

LIMIT_UNITS = 2**20
"""A value further than this from `low` is summed as if it were here, infinities among them."""

MAX_COUNT = 2**53
"""Rows of one summary: the bins of a feature then always add up within 64 bits."""

Counts = NDArray[np.int64]
Integers = NDArray[np.object_]

_CERTAIN = 1.0 - 2.0**-40
"""Two products of 64-bit floats further apart than this are so without rounding too."""

_COARSE = 2**200
"""A product of two integers below is finite as a float."""


class Columns(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The columns of several summaries over one grid; the first index of each is the summary's.

    Attributes:
        count: i8[n]; the others are those of `Summary`.
        sums, squares: of 64-bit integers where all fit, else of Python's.
    """

    count: Counts
    missing: Counts
    below: Counts
    above: Counts
    bins: Counts
    sums: NDArray[Any]
    squares: NDArray[Any]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]


class Summary(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Counts and exact power sums of every feature.

    Attributes:
        grid: what was counted over.
        count: rows observed.
        missing: i8[features], NaN values.
        below, above: i8[features], values outside the cells; the outer bins hold them too.
        bins: i8[features, bins].
        sums, squares: Python integers [features], of values in units of a 64th of a cell from
            `low`.
        minimum, maximum: f8[features] over finite values; +inf and -inf where there was none.

    Raises:
        ValueError: no rows can have these counts and sums.
    """

    grid: Grid
    count: int
    missing: Counts
    below: Counts
    above: Counts
    bins: Counts
    sums: Integers
    squares: Integers
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]

    def __post_init__(self) -> None:
        features = (len(self.grid.names),)
        if self.bins.shape != (*features, self.grid.bins) or any(
            column.shape != features for column in self._columns() if column is not self.bins
        ):
            raise ValueError("columns disagree with the grid in shape")
        for reason, broken in impossible(self.columns()):
            if broken.any():
                raise ValueError(reason)
        for values in self._columns():
            values.flags.writeable = False

    @classmethod
    def zero(cls, grid: Grid) -> Self:
        """Return the summary of no rows."""
        features = len(grid.names)
        return cls(
            grid=grid,
            count=0,
            missing=np.zeros(features, np.int64),
            below=np.zeros(features, np.int64),
            above=np.zeros(features, np.int64),
            bins=np.zeros((features, grid.bins), np.int64),
            sums=np.zeros(features, np.object_),
            squares=np.zeros(features, np.object_),
            minimum=np.full(features, np.inf),
            maximum=np.full(features, -np.inf),
        )

    def merge(self, other: "Summary") -> "Summary":
        """Return the summary of both streams of rows.

        Raises:
            ValueError: the other was counted over another grid.
        """
        if other.grid.digest != self.grid.digest:
            raise ValueError("summaries over different grids do not merge")
        return Summary(
            grid=self.grid,
            count=self.count + other.count,
            missing=self.missing + other.missing,
            below=self.below + other.below,
            above=self.above + other.above,
            bins=self.bins + other.bins,
            sums=self.sums + other.sums,
            squares=self.squares + other.squares,
            minimum=np.minimum(self.minimum, other.minimum),
            maximum=np.maximum(self.maximum, other.maximum),
        )

    def mean(self) -> NDArray[np.float64]:
        """Return f8[features], the mean of the values present; NaN where there was none."""
        units = [
            total / present if present else np.nan
            for total, present in zip(self.sums, self._present(), strict=True)
        ]
        return self.grid.low + np.array(units, np.float64) * (self.grid.cell / UNITS_PER_CELL)

    def std(self) -> NDArray[np.float64]:
        """Return f8[features], the population standard deviation; NaN where there was no value.

        The variance is an exact ratio of integers until its last step: nothing cancels.
        """
        variances = [
            (present * square - total * total) / (present * present) if present else np.nan
            for total, square, present in zip(self.sums, self.squares, self._present(), strict=True)
        ]
        return np.sqrt(np.array(variances, np.float64)) * (self.grid.cell / UNITS_PER_CELL)

    def columns(self) -> Columns:
        """Return it as columns of one summary."""
        names = Columns.__struct_fields__
        return Columns(**{name: np.asarray(getattr(self, name))[None] for name in names})

    def __eq__(self, other: object) -> bool:
        """Compare bit for bit, the grid by its digest."""
        return (
            isinstance(other, Summary)
            and self.count == other.count
            and self.grid.digest == other.grid.digest
            and all(map(np.array_equal, self._columns(), other._columns()))
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def _present(self) -> list[int]:
        return [self.count - int(missing) for missing in self.missing]

    def _columns(self) -> tuple[NDArray[Any], ...]:
        return (
            self.missing,
            self.below,
            self.above,
            self.bins,
            self.sums,
            self.squares,
            self.minimum,
            self.maximum,
        )


def impossible(columns: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield what no rows can have made (rule S10), each with which of the summaries have it, b1[n].

    They tell the truth of a summary that has none of those before.
    """
    count = columns.count[:, None]
    counts = (columns.missing, columns.below, columns.above, columns.bins.reshape(len(count), -1))
    yield (
        f"a count is negative, more than the rows, or beyond {MAX_COUNT}",
        _any(
            (columns.count < 0) | (columns.count > MAX_COUNT),
            *((column < 0) | (column > count) for column in counts),
        ),
    )
    present = columns.bins.sum(axis=2)
    yield (
        "a feature's bins and missing values do not add up to the rows",
        _any(present + columns.missing != count),
    )
    outer = columns.bins[:, :, :1].sum(axis=2)
    yield (
        "more values outside the cells than in the outer bins",
        _any(columns.below + columns.above > present, columns.below > outer),
    )
    yield (
        "no values have these sums and squares",
        _any(~_have_moments(count - columns.missing, columns.sums, columns.squares)),
    )
    low, high = columns.minimum, columns.maximum
    seen = np.isfinite(low) & np.isfinite(high) & (low <= high)
    yield (
        "no values have these minima and maxima",
        _any(~(seen | (low == np.inf) & (high == -np.inf))),
    )


def _have_moments(present: Counts, sums: NDArray[Any], squares: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where so many values within the limit can have these sums and squares, exactly.

    Floats tell nearly all of them apart; the rest is told by integers.
    """
    number, total, square = (_approximate(values) for values in (present, sums, squares))
    with np.errstate(all="ignore"):
        fit = (total * total <= number * square * _CERTAIN) & (
            square <= number * (LIMIT_UNITS**2 * _CERTAIN)
        )
    for place in zip(*np.nonzero(~fit), strict=True):
        n, a, b = (int(values[place]) for values in (present, sums, squares))
        fit[place] = a * a <= n * b <= n * n * LIMIT_UNITS**2
    return fit


def _approximate(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return integers as floats, NaN for those of hundreds of digits."""
    if values.dtype != np.object_:
        return values.astype(np.float64)
    floats = [float(value) if -_COARSE < value < _COARSE else np.nan for value in values.ravel()]
    return np.array(floats, np.float64).reshape(values.shape)


def _any(*broken: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return for each summary whether anything of it is broken."""
    whole = [each.reshape(len(each), -1).any(axis=1) for each in broken]
    return np.asarray(np.logical_or.reduce(whole), np.bool_)
