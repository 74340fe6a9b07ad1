# SPDX-License-Identifier: Apache-2.0
"""From bin grids, summaries and latencies to how they are written (`counted`), and back.

The conversions are exact in both directions. `stats` does the sums; nothing is counted here.
"""

import math

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.counted import (
    GridColumn,
    GridDocument,
    LatencyDocument,
    SummaryDocument,
)
from insight_edge.errors import DocumentError
from insight_edge.stats.grid import Grid, lookup_from_starts
from insight_edge.stats.latency import LatencyHistogram, latency_from_buckets
from insight_edge.stats.summary import Summary


def document_from_grid(grid: Grid) -> GridDocument:
    """Return a grid as it is written."""
    return GridDocument(
        cells=grid.cells,
        columns=tuple(
            GridColumn(
                name=name,
                low=float(grid.low[index]),
                cell=float(grid.cell[index]),
                starts=(0, *(int(s) + 1 for s in np.flatnonzero(np.diff(grid.lookup[index])))),
            )
            for index, name in enumerate(grid.names)
        ),
    )


def grid_from_document(document: GridDocument) -> Grid:
    """Return the grid that was written.

    Raises:
        DocumentError: its columns are no grid.
    """
    columns = document.columns
    try:
        lookup = [lookup_from_starts(column.starts, document.cells) for column in columns]
        return Grid(
            names=tuple(column.name for column in columns),
            low=np.array([column.low for column in columns], np.float64),
            cell=np.array([column.cell for column in columns], np.float64),
            lookup=np.array(lookup, np.uint8).reshape(len(columns), document.cells),
        )
    except (ValueError, OverflowError) as error:
        raise DocumentError(f"grid: {error}") from error


def document_from_summary(summary: Summary) -> SummaryDocument:
    """Return a summary as it is written."""
    return SummaryDocument(
        grid=summary.grid.digest,
        names=summary.grid.names,
        count=summary.count,
        missing=_integers(summary.missing),
        below=_integers(summary.below),
        above=_integers(summary.above),
        bins=tuple(_integers(row) for row in summary.bins),
        sums=tuple(str(value) for value in summary.sums),
        squares=tuple(str(value) for value in summary.squares),
        minimum=_finite(summary.minimum),
        maximum=_finite(summary.maximum),
    )


def summary_from_document(document: SummaryDocument, grid: Grid) -> Summary:
    """Return the summary that was written, over the grid that it names.

    Raises:
        DocumentError: it was counted over another grid, or no rows have these counts.
    """
    if document.grid != grid.digest or document.names != grid.names:
        raise DocumentError("summary: counted over another grid")
    try:
        return Summary(
            grid=grid,
            count=document.count,
            missing=np.array(document.missing, np.int64),
            below=np.array(document.below, np.int64),
            above=np.array(document.above, np.int64),
            bins=np.array(document.bins or np.empty((0, grid.bins)), np.int64),
            sums=_objects(document.sums),
            squares=_objects(document.squares),
            minimum=_floats(document.minimum, math.inf),
            maximum=_floats(document.maximum, -math.inf),
        )
    except (ValueError, OverflowError) as error:
        raise DocumentError(f"summary: {error}") from error


def document_from_latency(histogram: LatencyHistogram) -> LatencyDocument:
    """Return a latency histogram as it is written."""
    return LatencyDocument(
        buckets={str(index): count for index, count in histogram.buckets().items()},
        count=histogram.count,
        total_ns=histogram.total_ns,
        max_ns=histogram.max_ns,
    )


def latency_from_document(document: LatencyDocument) -> LatencyHistogram:
    """Return the latency histogram that was written.

    Raises:
        DocumentError: a bucket does not exist, or the count is not that of the buckets.
    """
    try:
        buckets = {int(index): count for index, count in document.buckets.items()}
        histogram = latency_from_buckets(
            buckets, total_ns=document.total_ns, max_ns=document.max_ns
        )
    except (ValueError, OverflowError) as error:
        raise DocumentError(f"latency: {error}") from error
    if histogram.count != document.count:
        raise DocumentError(f"latency: {document.count} counted, {histogram.count} in buckets")
    return histogram


def _integers(values: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _finite(values: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(float(value) if math.isfinite(value) else None for value in values)


def _floats(values: tuple[float | None, ...], absent: float) -> NDArray[np.float64]:
    # Adding 0 makes -0.0 into 0.0, as a tally does.
    return np.array([absent if value is None else value for value in values], np.float64) + 0.0


def _objects(values: tuple[str, ...]) -> NDArray[np.object_]:
    return np.array([int(value) for value in values], np.object_)


__all__ = [
    "GridColumn",
    "GridDocument",
    "LatencyDocument",
    "SummaryDocument",
    "document_from_grid",
    "document_from_latency",
    "document_from_summary",
    "grid_from_document",
    "latency_from_document",
    "summary_from_document",
]
