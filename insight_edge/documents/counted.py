# SPDX-License-Identifier: Apache-2.0
"""Bin grids, summaries and latencies as they are written.

Plain fields, so that the agent, which only carries them, needs no NumPy; what they are to
`stats` is in `documents.statistics`.
"""

from insight_edge.documents.codec import Document


class GridColumn(Document, frozen=True, kw_only=True):
    """How one feature is binned (rules S1 to S4 in docs/formats/statistics.md).

    Attributes:
        low: value at which the first cell starts.
        cell: width of a cell.
        starts: index of the first cell of every bin; the first is 0, increasing.
    """

    name: str
    low: float
    cell: float
    starts: tuple[int, ...]


class GridDocument(Document, frozen=True, kw_only=True):
    """The bins of every observed feature, over `cells` equal cells a feature."""

    cells: int
    columns: tuple[GridColumn, ...]


class SummaryDocument(Document, frozen=True, kw_only=True):
    """Counts of some rows over a grid, as columns: index i belongs to feature `names[i]`.

    Attributes:
        grid: digest of the grid counted over; summaries over different grids never merge.
        count: rows observed.
        missing: NaN values.
        below, above: values outside the grid's cells (also counted in the outer bins).
        bins: counts a bin.
        sums, squares: exact integer power sums in grid units (rule S3), in decimal, since they
            outgrow 64 bits when a fleet is merged.
        minimum, maximum: None where nothing was seen.
    """

    grid: str
    names: tuple[str, ...]
    count: int
    missing: tuple[int, ...]
    below: tuple[int, ...]
    above: tuple[int, ...]
    bins: tuple[tuple[int, ...], ...]
    sums: tuple[str, ...]
    squares: tuple[str, ...]
    minimum: tuple[float | None, ...]
    maximum: tuple[float | None, ...]


class LatencyDocument(Document, frozen=True, kw_only=True):
    """A latency histogram: counts by bucket index (rule S5), empty buckets left out."""

    buckets: dict[str, int]
    count: int
    total_ns: int
    max_ns: int
