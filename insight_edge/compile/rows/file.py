# SPDX-License-Identifier: Apache-2.0
"""Rows of an .npz read a block at a time, so that a file may be larger than memory.

Compressed or not, a member is read from its start to its end and never as a
whole; the checksum at the end is looked at. Nothing is mapped: pages of a mapped
file count as memory of the process. Which rows are wanted is decided elsewhere.
"""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.npz import MAX_HEADER_BYTES, npy_header
from insight_edge.bundle.zipped import NOT_A_ZIP, refuse_size
from insight_edge.errors import DocumentError

BLOCK_BYTES = 2**22
"""Read at once; a row that is larger is read whole."""

MAX_COLUMNWISE_BYTES = 2**30
"""Of an array whose rows lie all over the file, so that it has to be read whole."""

_SUFFIX = ".npy"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One array of a file, by its header alone.

    Attributes:
        dtype: in this machine's byte order.
        shape: rows first; empty for a single number.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.shape[0] if self.shape else 0

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize


class RowFile:
    """The arrays of an .npz of plain numbers; every read opens the file anew."""

    def __init__(self, path: Path, *, max_bytes: int, max_arrays: int) -> None:
        """Read the headers.

        Raises:
            OSError: it cannot be read.
            LimitExceededError: it unpacks to more than `max_bytes`, or has more arrays.
            DocumentError: not an .npz of numbers, booleans and text (pickles are never loaded).
        """
        self._path = path
        with _archive(path) as archive:
            members = archive.infolist()
            refuse_size(members, max_bytes=max_bytes, max_members=max_arrays)
            heads = {m.filename.removesuffix(_SUFFIX): _head(archive, m) for m in members}
        if len(heads) < len(members):
            raise DocumentError("two arrays have one name")
        self._stored = heads
        self.columns: Mapping[str, Column] = {name: head.column for name, head in heads.items()}

    def blocks(self, name: str, rows: int | None = None) -> Iterator[NDArray[Any]]:
        """Yield an array's rows in order, `rows` at a time or about `BLOCK_BYTES`.

        Raises:
            DocumentError: the file is damaged.
        """
        stored = self._stored[name]
        column = stored.column
        step = rows or max(1, BLOCK_BYTES // max(1, column.row_bytes))
        with _archive(self._path) as archive, archive.open(stored.member) as stream:
            _read(stream, stored.start, name)
            if stored.columnwise:
                yield from _cut(_columnwise(stream, stored, name), step)
                return
            for start in range(0, column.rows, step):
                shape = (min(step, column.rows - start), *column.shape[1:])
                data = _read(stream, shape[0] * column.row_bytes, name)
                yield _native(np.frombuffer(data, stored.dtype)).reshape(shape)
            _refuse_more(stream, name)

    def take(self, name: str, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Return some rows of an array, in one pass over it.

        Args:
            name: of the array.
            rows: their numbers, ascending.

        Raises:
            DocumentError: the file is damaged.
        """
        column = self.columns[name]
        taken = np.empty((len(rows), *column.shape[1:]), column.dtype)
        start = 0
        for block in self.blocks(name):
            first, last = np.searchsorted(rows, (start, start + len(block)))
            taken[first:last] = block[rows[first:last] - start]
            start += len(block)
        return taken


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """How an array lies in the file; `start` is where its values begin."""

    member: str
    column: Column
    dtype: np.dtype[Any]
    columnwise: bool
    start: int


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except DocumentError:
        raise
    except NOT_A_ZIP as error:
        raise DocumentError(f"not an .npz: {error}") from error


def _head(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Stored:
    with archive.open(member) as stream:
        descr, order, shape, start = npy_header(stream.read(MAX_HEADER_BYTES), member.filename)
    dtype = np.dtype(descr)
    values = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if values != member.file_size - start:
        found = member.file_size - start
        raise DocumentError(
            f"'{member.filename}': {found} bytes do not make {list(shape)} of {descr}"
        )
    return _Stored(
        member=member.filename,
        column=Column(dtype=dtype.newbyteorder("="), shape=shape),
        dtype=dtype,
        columnwise=order == "F" and len(shape) > 1,
        start=start,
    )


def _columnwise(stream: IO[bytes], stored: _Stored, name: str) -> NDArray[Any]:
    """Return an array that was stored column by column: rows of it lie all over the file."""
    column = stored.column
    length_bytes = column.rows * column.row_bytes
    if length_bytes > MAX_COLUMNWISE_BYTES:
        raise DocumentError(f"'{name}' is stored by columns; pass numpy.ascontiguousarray(rows)")
    data = _read(stream, length_bytes, name)
    _refuse_more(stream, name)
    return _native(np.frombuffer(data, stored.dtype)).reshape(column.shape, order="F")


def _cut(array: NDArray[Any], step: int) -> Iterator[NDArray[Any]]:
    return (array[start : start + step] for start in range(0, len(array), step))


def _native(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _read(stream: IO[bytes], length_bytes: int, name: str) -> bytes:
    data = stream.read(length_bytes)
    if len(data) < length_bytes:
        raise DocumentError(f"not an .npz: '{name}' is cut off")
    return data


def _refuse_more(stream: IO[bytes], name: str) -> None:
    """Read to the end, where the checksum is compared."""
    if stream.read(1):
        raise DocumentError(f"not an .npz: '{name}' is longer than it says")
