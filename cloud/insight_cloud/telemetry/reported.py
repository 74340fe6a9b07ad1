# SPDX-License-Identifier: Apache-2.0
"""Turn many reports, as they came, into arrays.

It asks only what arrays need: of one grid, so many features, within 64 bits. Whether
rows can have them is asked of the `Batch`.
"""

import math
from collections.abc import Sequence
from operator import attrgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_cloud.telemetry.batch import Batch, Side
from insight_cloud.telemetry.heads import MAX_CALLS, LatencyHead, ReportHead, SummaryHead
from insight_cloud.telemetry.parts import Parts, buckets, decimals, floats, integers
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.totals import COUNTS
from insight_edge.errors import DocumentError
from insight_edge.stats.grid import Grid
from insight_edge.stats.latencies import Latencies
from insight_edge.stats.latency import BUCKETS
from insight_edge.stats.summary import Columns

_BUCKETS = {str(index): index for index in range(BUCKETS)}
"""A third of the time of `int`, and it knows where they end."""


def batch_of(reports: Sequence[ReportHead], known: KnownBundle) -> Batch:
    """Return reports as arrays; whether rows can have them is asked of the batch.

    Raises:
        DocumentError: one was counted over other grids, or has figures out of all bounds.
    """
    try:
        return Batch(
            known=known,
            reports=np.ones(len(reports), np.int64),
            counts=np.array([_counts_of(each.counts) for each in reports], np.int64),
            latency=latencies_of([each.latency for each in reports]),
            inputs=_side([each.inputs for each in reports], known.inputs),
            outputs=_side([each.outputs for each in reports], known.outputs),
        )
    except (ValueError, OverflowError) as error:
        raise DocumentError(f"statistics: {error}") from error


_counts_of = attrgetter(*COUNTS)


def latencies_of(documents: Sequence[LatencyHead]) -> Latencies:
    """Return the latencies of reports.

    Raises:
        DocumentError: one counts other durations than its buckets, or a bucket is none.
    """
    try:
        sizes, indices, counts = buckets([each.buckets for each in documents], _BUCKETS)
        found = Latencies.of(
            sizes=sizes,
            indices=indices,
            counts=counts,
            total_ns=[each.total_ns for each in documents],
            max_ns=[each.max_ns for each in documents],
        )
    except (KeyError, OverflowError, ValueError) as error:
        raise DocumentError(f"latency: there is no such bucket: {error}") from error
    is_other = found.count != [each.count for each in documents]
    if is_other.any() or counts.max(initial=0) > MAX_CALLS:
        raise DocumentError("latency: others counted than in the buckets")
    return found


def _side(documents: Sequence[SummaryHead | None], grid: Grid | None) -> Side | None:
    present = [each for each in documents if each is not None]
    if grid is None:
        if present:
            raise DocumentError("summary: the bundle counts nothing there")
        return None
    names = {_names(packed) for packed in {bytes(each.names) for each in present}}
    if any(each.grid != grid.digest for each in present) or not names <= {grid.names}:
        raise DocumentError("summary: counted over another grid")
    counted = np.array([each is not None for each in documents], np.bool_)
    columns = _columns(present, grid) if present else None
    return Side.spread(grid, counted, columns)


def _names(packed: bytes) -> tuple[str, ...]:
    try:
        found: tuple[str, ...] = _names_decoder.decode(packed)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DocumentError(f"summary: names: {error}") from error
    return found


_names_decoder = msgspec.msgpack.Decoder(tuple[str, ...])


def _columns(documents: Sequence[SummaryHead], grid: Grid) -> Columns:
    features, cells = (len(grid.names),), (len(grid.names), grid.bins)
    columns = Columns(
        count=np.array([each.count for each in documents], np.int64),
        missing=integers([each.missing for each in documents], features),
        below=integers([each.below for each in documents], features),
        above=integers([each.above for each in documents], features),
        bins=integers([each.bins for each in documents], cells),
        sums=decimals([each.sums for each in documents], *features),
        squares=decimals([each.squares for each in documents], *features),
        minimum=_extremes([each.minimum for each in documents], *features, math.inf),
        maximum=_extremes([each.maximum for each in documents], *features, -math.inf),
    )
    for name in ("missing", "below", "above", "bins", "sums", "squares", "minimum", "maximum"):
        expected = cells if name == "bins" else features
        if getattr(columns, name).shape[1:] != expected:
            raise DocumentError(f"summary: {name} of another shape than the grid's")
    return columns


def _extremes(parts: Parts, features: int, absent: float) -> NDArray[np.float64]:
    # Adding 0 makes -0.0 into 0.0, as a tally does.
    return floats(parts, features, absent) + 0.0
