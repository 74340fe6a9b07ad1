# SPDX-License-Identifier: Apache-2.0
"""Turn many reports, as they came, into arrays.

It asks only what arrays need: of one grid, so many features, within 64 bits. Whether
rows can have them is asked of the `Batch`.
"""

import math
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_cloud.telemetry.batch import Batch, Side
from insight_cloud.telemetry.heads import LatencyHead, ReportHead, SummaryHead
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.totals import BUCKET_NAMES, COUNTS
from insight_edge.errors import DocumentError
from insight_edge.stats.columns import integers
from insight_edge.stats.grid import Grid
from insight_edge.stats.latencies import Latencies
from insight_edge.stats.summary import Columns


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
            latency=_latencies([each.latency for each in reports]),
            inputs=_side([each.inputs for each in reports], known.inputs),
            outputs=_side([each.outputs for each in reports], known.outputs),
        )
    except (ValueError, OverflowError) as error:
        raise DocumentError(f"statistics: {error}") from error


_counts_of = attrgetter(*COUNTS)


def _latencies(documents: Sequence[LatencyHead]) -> Latencies:
    try:
        every = chain.from_iterable(each.buckets for each in documents)
        indices = [*map(BUCKET_NAMES.__getitem__, every)]
    except KeyError as error:
        raise DocumentError(f"latency: there is no bucket {error}") from error
    found = Latencies.of(
        sizes=[len(each.buckets) for each in documents],
        indices=indices,
        counts=[*chain.from_iterable(each.buckets.values() for each in documents)],
        total_ns=[each.total_ns for each in documents],
        max_ns=[each.max_ns for each in documents],
    )
    if (found.count != [each.count for each in documents]).any():
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
    features = (len(documents), len(grid.names))
    columns = Columns(
        count=np.array([each.count for each in documents], np.int64),
        missing=np.array([each.missing for each in documents], np.int64),
        below=np.array([each.below for each in documents], np.int64),
        above=np.array([each.above for each in documents], np.int64),
        bins=_bins([bytes(each.bins) for each in documents], (len(grid.names), grid.bins)),
        sums=integers([list(map(int, each.sums)) for each in documents]),
        squares=integers([list(map(int, each.squares)) for each in documents]),
        minimum=_extremes([each.minimum for each in documents], math.inf),
        maximum=_extremes([each.maximum for each in documents], -math.inf),
    )
    for name in ("missing", "below", "above", "sums", "squares", "minimum", "maximum"):
        if getattr(columns, name).shape != features:
            raise DocumentError(f"summary: {name} of other features than the grid's")
    if columns.bins.shape != (*features, grid.bins):
        raise DocumentError("summary: other bins than the grid's")
    return columns


def _bins(packed: Sequence[bytes], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Return the bins of summaries from their msgpack.

    A count below 128 is a byte of msgpack; where all are, the bytes are the numbers.
    """
    outer, inner = map(_array_head, shape)
    width = len(inner) + shape[1]
    length = len(outer) + shape[0] * width
    if all(len(each) == length for each in packed):
        table = np.frombuffer(b"".join(packed), np.uint8).reshape(-1, length)
        rows = table[:, len(outer) :].reshape(-1, shape[0], width)
        counts = rows[:, :, len(inner) :]
        heads = (table[:, : len(outer)], rows[:, :, : len(inner)])
        expected = (np.frombuffer(outer, np.uint8), np.frombuffer(inner, np.uint8))
        if counts.max(initial=0) < 128 and all(map(_all_same, heads, expected)):
            return counts.astype(np.int64)
    try:
        return np.array([_bins_decoder.decode(each) for each in packed], np.int64)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DocumentError(f"summary: bins: {error}") from error


_bins_decoder = msgspec.msgpack.Decoder(list[list[int]])


def _array_head(length: int) -> bytes:
    """Return what msgpack writes before the elements of an array."""
    return bytes([0x90 | length]) if length < 16 else b"\xdc" + length.to_bytes(2)


def _all_same(found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> bool:
    return bool((found == expected).all())


def _extremes(rows: Sequence[Sequence[float | None]], absent: float) -> NDArray[np.float64]:
    # Adding 0 makes -0.0 into 0.0, as a tally does.
    filled = [[absent if value is None else value for value in row] for row in rows]
    return np.array(filled, np.float64) + 0.0
