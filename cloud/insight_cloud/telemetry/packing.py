# SPDX-License-Identifier: Apache-2.0
"""A batch of totals as plain data, and back: all of it together, which is quick.

It is for what is read once and soon; `keeping` writes each of the totals for itself, smaller.
Integers take as many bytes as the largest of their array needs; those beyond 64 bits are
in decimal.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_cloud.telemetry.batch import Batch, Side
from insight_cloud.telemetry.rules import KnownBundle
from insight_edge.errors import DocumentError
from insight_edge.stats.grid import Grid
from insight_edge.stats.latencies import Latencies
from insight_edge.stats.summary import Columns

_COLUMNS = Columns.__struct_fields__
_SIGNED = tuple((np.dtype(f"<i{size}"), 2 ** (8 * size - 1) - 1) for size in (1, 2, 4))


class PackedArray(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An array.

    Attributes:
        kind: NumPy's name of the type, or "decimal".
    """

    kind: str
    shape: tuple[int, ...]
    data: bytes | list[str]


class PackedSide(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was counted of inputs, or of outputs; the arrays are those of `Columns`."""

    grid: str
    counted: PackedArray
    columns: list[PackedArray]


class PackedBatch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Totals of one bundle."""

    reports: PackedArray
    counts: PackedArray
    first: int
    latency: list[PackedArray]
    inputs: PackedSide | None
    outputs: PackedSide | None


def pack_batch(batch: Batch) -> PackedBatch:
    """Return totals as plain data."""
    latency = batch.latency
    return PackedBatch(
        reports=_pack(batch.reports),
        counts=_pack(batch.counts),
        first=latency.first,
        latency=[_pack(each) for each in (latency.buckets, latency.total_ns, latency.max_ns)],
        inputs=_pack_side(batch.inputs),
        outputs=_pack_side(batch.outputs),
    )


def unpack_batch(packed: PackedBatch, known: KnownBundle) -> Batch:
    """Return totals.

    Raises:
        DocumentError: they are of a bundle with other grids.
    """
    buckets, total_ns, max_ns = map(_unpack, packed.latency)
    return Batch(
        known=known,
        reports=_unpack(packed.reports),
        counts=_unpack(packed.counts),
        latency=Latencies(first=packed.first, buckets=buckets, total_ns=total_ns, max_ns=max_ns),
        inputs=_unpack_side(packed.inputs, known.inputs),
        outputs=_unpack_side(packed.outputs, known.outputs),
    )


def _pack_side(side: Side | None) -> PackedSide | None:
    if side is None:
        return None
    columns = [_pack(getattr(side.columns, name)) for name in _COLUMNS]
    return PackedSide(side.grid.digest, _pack(side.counted), columns)


def _unpack_side(packed: PackedSide | None, grid: Grid | None) -> Side | None:
    if (None if packed is None else packed.grid) != (None if grid is None else grid.digest):
        raise DocumentError("reports: counted over another grid")
    if packed is None or grid is None:
        return None
    columns = dict(zip(_COLUMNS, map(_unpack, packed.columns), strict=True))
    return Side(grid=grid, counted=_unpack(packed.counted), columns=Columns(**columns))


def _pack(array: NDArray[Any]) -> PackedArray:
    if array.dtype == np.object_:
        return PackedArray("decimal", array.shape, [*map(str, array.ravel().tolist())])
    if array.dtype == np.int64:
        array = array.astype(_narrowest(array))
    return PackedArray(array.dtype.str, array.shape, array.tobytes())


def _unpack(packed: PackedArray) -> NDArray[Any]:
    if isinstance(packed.data, list):
        whole = np.array([*map(int, packed.data)], np.object_)
        return whole.reshape(packed.shape)
    array = np.frombuffer(packed.data, packed.kind).reshape(packed.shape)
    return array.astype(np.int64) if array.dtype.kind == "i" else array


def _narrowest(array: NDArray[np.int64]) -> np.dtype[Any]:
    """Return a type that holds all integers of an array: the shortest, unless some are below 0."""
    reach = int(array.view(np.uint64).max(initial=0))
    return next((kind for kind, largest in _SIGNED if reach <= largest), np.dtype("<i8"))
