# SPDX-License-Identifier: Apache-2.0
"""Totals between arrays and the bytes of a table's column.

This room writes and reads them, nobody else. All numbers are little-endian and of 64
bits, but for counts that all fit 16, a quarter of the work to compress, and for sums that
have outgrown 64: they are in decimal.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby, repeat
from operator import itemgetter

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from insight_cloud.telemetry.batch import Batch, Side
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.tables import SegmentRow, TotalsRow
from insight_cloud.telemetry.totals import COUNTS
from insight_edge.errors import DocumentError
from insight_edge.stats.columns import integers
from insight_edge.stats.grid import Grid
from insight_edge.stats.latencies import Latencies
from insight_edge.stats.summary import Columns

NO_COUNTS = (0,) * (1 + len(COUNTS))
LEVEL = 3


class _Side(msgspec.Struct, gc=False):
    """A summary.

    Attributes:
        numbers: `count`, `missing`, `below`, `above` and `bins`.
        moments: `sums` and `squares`; decimal where some do not fit 64 bits.
        extremes: `minimum` and `maximum`.
        width: bytes of each of `numbers`.
    """

    grid: str
    numbers: bytes
    moments: bytes | list[str]
    extremes: bytes
    width: int = 8


class _Kept(msgspec.Struct, gc=False):
    """Statistics of totals.

    Attributes:
        indices, counts: of the buckets that hold something.
        width: bytes of each of these.
    """

    indices: bytes = b""
    counts: bytes = b""
    total_ns: int = 0
    max_ns: int = 0
    width: int = 8
    inputs: _Side | None = None
    outputs: _Side | None = None


_decoder = msgspec.msgpack.Decoder(_Kept)


def counts_of(row: TotalsRow | SegmentRow) -> tuple[int, ...]:
    """Return reports and counts of a row of totals."""
    return row.reports, *(getattr(row, name) for name in COUNTS)


def pack(batch: Batch) -> list[bytes]:
    """Return the statistics of each of the totals as they are kept."""
    zstd, encoder = zstandard.ZstdCompressor(level=LEVEL), msgspec.msgpack.Encoder()
    sides = (_sides(batch.inputs, len(batch)), _sides(batch.outputs, len(batch)))
    kept = map(_Kept, *zip(*_latencies(batch.latency), strict=True), *sides)
    return [zstd.compress(encoder.encode(each)) for each in kept]


def unpack(packed: Sequence[bytes], counts: Sequence[Sequence[int]], known: KnownBundle) -> Batch:
    """Return totals, at least one.

    Args:
        packed: statistics of each; no bytes stand for those of no report.
        counts: of each: reports, then those of `COUNTS`.
        known: the bundle.

    Raises:
        DocumentError: they are of a bundle with other grids.
    """
    zstd = zstandard.ZstdDecompressor()
    kept = [_decoder.decode(zstd.decompress(each)) if each else _Kept() for each in packed]
    figures = np.array(counts, np.int64)
    return Batch(
        known=known,
        reports=figures[:, 0],
        counts=figures[:, 1:],
        latency=Latencies.of(
            sizes=[len(each.indices) // each.width for each in kept],
            indices=_numbers([(each.indices, each.width) for each in kept]),
            counts=_numbers([(each.counts, each.width) for each in kept]),
            total_ns=[each.total_ns for each in kept],
            max_ns=[each.max_ns for each in kept],
        ),
        inputs=_side([each.inputs for each in kept], known.inputs),
        outputs=_side([each.outputs for each in kept], known.outputs),
    )


def _latencies(latency: Latencies) -> Iterator[tuple[bytes, bytes, int, int, int]]:
    sizes, *flat = latency.held()
    width = _width(*flat)
    indices, counts = (each.astype(f"<i{width}").tobytes() for each in flat)
    ends = (width * sizes.cumsum()).tolist()
    figures = zip(latency.total_ns.tolist(), latency.max_ns.tolist(), strict=True)
    for begin, end, (total_ns, max_ns) in zip([0, *ends], ends, figures, strict=False):
        yield indices[begin:end], counts[begin:end], total_ns, max_ns, width


def _sides(side: Side | None, length: int) -> Iterator[_Side | None]:
    if side is None:
        yield from repeat(None, length)
        return
    own = side.columns
    counts = (own.count[:, None], own.missing, own.below, own.above, own.bins)
    numbers = np.concatenate([each.reshape(length, -1) for each in counts], axis=1)
    width = _width(numbers)
    numbers = numbers.astype(f"<i{width}")
    moments = np.concatenate([own.sums, own.squares], axis=1)
    extremes = np.concatenate([own.minimum, own.maximum], axis=1).astype("<f8")
    for index, counted in enumerate(side.counted.tolist()):
        yield (
            _Side(
                grid=side.grid.digest,
                numbers=numbers[index].tobytes(),
                moments=_moments(moments[index]),
                extremes=extremes[index].tobytes(),
                width=width,
            )
            if counted
            else None
        )


def _width(*counts: NDArray[np.int64]) -> int:
    """Return the bytes that each of some counts needs."""
    return 2 if all(each.max(initial=0) < 2**15 for each in counts) else 8


def _moments(values: NDArray[np.generic]) -> bytes | list[str]:
    exact = values.tolist()
    if values.dtype == np.object_:
        values = integers([exact])[0]
    return [*map(str, exact)] if values.dtype == np.object_ else values.astype("<i8").tobytes()


def _side(kept: Sequence[_Side | None], grid: Grid | None) -> Side | None:
    present = [each for each in kept if each is not None]
    if any(grid is None or each.grid != grid.digest for each in present):
        raise DocumentError("totals: counted over another grid")
    if grid is None:
        return None
    counted = np.array([each is not None for each in kept], np.bool_)
    return Side.spread(grid, counted, _columns(present, grid) if present else None)


def _columns(kept: Sequence[_Side], grid: Grid) -> Columns:
    length, features = len(kept), len(grid.names)
    numbers = _numbers([(each.numbers, each.width) for each in kept]).reshape(length, -1)
    count, three, bins = np.split(numbers, [1, 1 + 3 * features], axis=1)
    missing, below, above = np.split(three, 3, axis=1)
    sums, squares = np.split(_all_moments([each.moments for each in kept]), 2, axis=1)
    extremes = np.frombuffer(b"".join(each.extremes for each in kept), "<f8").reshape(length, -1)
    minimum, maximum = np.split(extremes.astype(np.float64), 2, axis=1)
    return Columns(
        count=count[:, 0],
        missing=missing,
        below=below,
        above=above,
        bins=bins.reshape(length, features, grid.bins),
        sums=sums,
        squares=squares,
        minimum=minimum,
        maximum=maximum,
    )


def _all_moments(kept: Sequence[bytes | list[str]]) -> NDArray[np.generic]:
    short = [(each, 8) for each in kept if isinstance(each, bytes)]
    if len(short) == len(kept):
        return _numbers(short).reshape(len(kept), -1)
    return np.array(
        [
            _numbers([(each, 8)]).tolist() if isinstance(each, bytes) else [*map(int, each)]
            for each in kept
        ],
        np.object_,
    )


def _numbers(kept: Sequence[tuple[bytes, int]]) -> NDArray[np.int64]:
    """Return the numbers in bytes, of which each has so many, one after the other."""
    parts = [
        np.frombuffer(b"".join(each for each, _ in several), f"<i{width}")
        for width, several in groupby(kept, key=itemgetter(1))
    ]
    return np.concatenate(parts or [np.empty(0)]).astype(np.int64)
