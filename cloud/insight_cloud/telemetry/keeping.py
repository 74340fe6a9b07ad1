# SPDX-License-Identifier: Apache-2.0
"""Totals between arrays and the bytes of a table's column.

This room writes and reads them, nobody else. Numbers are little-endian: counts of as many
bytes as the largest needs, all others of 64 bits, but for sums that have outgrown these: they
are in decimal. What earlier releases compressed is read too; it took half of the time of
adding a report for a fifth less bytes.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby, repeat
from operator import attrgetter, itemgetter

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from insight_cloud.telemetry.batch import Batch, Side
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.totals import COUNTS
from insight_edge.errors import DocumentError
from insight_edge.stats.columns import integers
from insight_edge.stats.grid import Grid
from insight_edge.stats.latencies import Latencies
from insight_edge.stats.summary import Columns

NO_COUNTS = (0,) * (1 + len(COUNTS))
_COMPRESSED = (0xFD2FB528).to_bytes(4, "little")
"""What a frame of zstd begins with (RFC 8878), and MessagePack of a struct never."""

_KINDS = {1: "u1", 2: "<i2", 4: "<i4", 8: "<i8"}
"""Types of counts, by their bytes."""


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


counts_of = attrgetter("reports", *COUNTS)
"""Returns reports and counts of a row of totals."""


def pack(batch: Batch) -> list[bytes]:
    """Return the statistics of each of the totals as they are kept."""
    encoder = msgspec.msgpack.Encoder()
    sides = (_sides(batch.inputs, len(batch)), _sides(batch.outputs, len(batch)))
    kept = map(_Kept, *zip(*_latencies(batch.latency), strict=True), *sides)
    return [encoder.encode(each) for each in kept]


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
    plain = [zstd.decompress(one) if one.startswith(_COMPRESSED) else one for one in packed]
    kept = [_decoder.decode(each) if each else _Kept() for each in plain]
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
    indices, counts = (each.astype(_KINDS[width]).tobytes() for each in flat)
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
    parts = zip(
        side.counted.tolist(),
        _rows(numbers.astype(_KINDS[width])),
        _moments(np.concatenate([own.sums, own.squares], axis=1)),
        _rows(np.concatenate([own.minimum, own.maximum], axis=1).astype("<f8")),
        strict=True,
    )
    for counted, held, moments, extremes in parts:
        yield _Side(side.grid.digest, held, moments, extremes, width) if counted else None


def _rows(table: NDArray[np.generic]) -> list[bytes]:
    """Return the bytes of each row."""
    data, width = table.tobytes(), table.shape[1] * table.itemsize
    return [data[begin : begin + width] for begin in range(0, len(table) * width, width)]


def _width(*counts: NDArray[np.int64]) -> int:
    """Return the bytes that each of some counts, none below 0, needs."""
    most = max(int(each.max(initial=0)) for each in counts)
    return next(width for width, kind in _KINDS.items() if most <= np.iinfo(kind).max)


def _moments(table: NDArray[np.generic]) -> Sequence[bytes | list[str]]:
    if table.dtype != np.object_:
        return _rows(table.astype("<i8"))
    return [_moments_of(row) for row in table.tolist()]


def _moments_of(exact: Sequence[int]) -> bytes | list[str]:
    values = integers([exact])
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
        np.frombuffer(b"".join(each for each, _ in several), _KINDS[width])
        for width, several in groupby(kept, key=itemgetter(1))
    ]
    return np.concatenate(parts or [np.empty(0)]).astype(np.int64)
