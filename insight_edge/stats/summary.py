# SPDX-License-Identifier: Apache-2.0
"""A summary: what was counted of some rows over a grid, never changed again.

Summaries over one grid form a commutative monoid: `merge` is exactly
associative and commutative, `Summary.zero` is neutral. Sums are integers of
any size in grid units (rule S3), so nothing is rounded after the first
rounding of each value. `tally` writes what is kept here.
"""

from dataclasses import dataclass
from typing import Any, Self

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Summary:
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
        self._refuse_counts()
        self._refuse_moments()
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

    def __eq__(self, other: object) -> bool:
        """Compare bit for bit, the grid by its digest."""
        return (
            isinstance(other, Summary)
            and self.count == other.count
            and self.grid.digest == other.grid.digest
            and all(map(np.array_equal, self._columns(), other._columns()))
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def _refuse_counts(self) -> None:
        counts = (self.missing, self.below, self.above, self.bins)
        if not 0 <= self.count <= MAX_COUNT or any(
            (column < 0).any() or (column > self.count).any() for column in counts
        ):
            raise ValueError(f"a count is negative, more than the rows, or beyond {MAX_COUNT}")
        present = self.bins.sum(axis=1)
        if (present + self.missing != self.count).any():
            raise ValueError("a feature's bins and missing values do not add up to the rows")
        if (self.below + self.above > present).any() or (self.below > self.bins[:, 0]).any():
            raise ValueError("more values outside the cells than in the outer bins")

    def _refuse_moments(self) -> None:
        present = np.array(self._present(), np.object_)
        furthest = present * present * LIMIT_UNITS**2
        if not (
            (self.sums * self.sums <= present * self.squares).all()
            and (present * self.squares <= furthest).all()
        ):
            raise ValueError("no values have these sums and squares")
        seen = np.isfinite(self.minimum) & np.isfinite(self.maximum)
        none = (self.minimum == np.inf) & (self.maximum == -np.inf)
        if not (none | (seen & (self.minimum <= self.maximum))).all():
            raise ValueError("no values have these minima and maxima")

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
