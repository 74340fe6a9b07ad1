# SPDX-License-Identifier: Apache-2.0
"""Named arrays in an .npz: plain numbers only, bounded before they are unpacked.

`numpy.load` is not used: it allocates what the file claims. The same arrays
give the same bytes, on every machine.
"""

import io
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from insight_edge.bundle.stored import stored_members
from insight_edge.errors import DocumentError

_PLAIN_KINDS = frozenset("biufU")
MAX_HEADER_BYTES = 4096
_HEADER: Final = re.compile(
    rb"\{'descr': '([<>|][biufU][0-9]{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:[0-9]{1,18}, ?){0,32}[0-9]{0,18})\), \} *\n"
)
"""The header that every NumPy since 1.0 writes for an array of these kinds."""

_SUFFIX = ".npy"


def npz_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return an .npz of the arrays, in the order given, uncompressed.

    Raises:
        DocumentError: an array is not of numbers, booleans or text.
    """
    from insight_edge.bundle.zipped import packed

    return packed({name + _SUFFIX: _npy(name, array) for name, array in arrays.items()})


def arrays_from_npz(data: bytes, *, max_bytes: int, max_arrays: int) -> dict[str, NDArray[Any]]:
    """Return the arrays by name; they are read-only.

    Raises:
        LimitExceededError: they unpack to more than `max_bytes`, or are more than `max_arrays`.
        DocumentError: not an .npz of numbers, booleans and text (pickles are never loaded).
    """
    members = _members(data, max_bytes, max_arrays)
    arrays = {name.removesuffix(_SUFFIX): _array(content, name) for name, content in members}
    if len(arrays) < len(members):
        raise DocumentError("two arrays have one name")
    return arrays


def _npy(name: str, array: NDArray[Any]) -> bytes:
    if array.dtype.kind not in _PLAIN_KINDS:
        raise DocumentError(f"'{name}': arrays of {array.dtype} are not written")
    member = io.BytesIO()
    npy.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return member.getvalue()


def _members(data: bytes, max_bytes: int, max_arrays: int) -> list[tuple[str, bytes]]:
    stored = stored_members(data) if len(data) <= max_bytes else None
    if stored is not None and len(stored) <= max_arrays:
        return list(stored.items())
    from insight_edge.bundle.zipped import unpacked

    return unpacked(data, max_bytes=max_bytes, max_members=max_arrays)


def _array(data: bytes, name: str) -> NDArray[Any]:
    descr, order, shape, start = npy_header(data, name)
    values = memoryview(data)[start:]
    try:
        array = np.frombuffer(values, descr).reshape(shape, order=order)
    except (TypeError, ValueError) as error:
        raise DocumentError(
            f"'{name}': {len(values)} bytes do not make {list(shape)} of {descr}"
        ) from error
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def npy_header(data: bytes, name: str) -> tuple[str, Literal["C", "F"], tuple[int, ...], int]:
    """Return dtype, order, shape and where values start; `MAX_HEADER_BYTES` are enough of `data`.

    NumPy's own reader also takes pickles, structures and what Python 2 wrote.

    Raises:
        DocumentError: not an array of numbers, booleans or text.
    """
    width = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}.get(data[:8])
    if width is None:
        raise DocumentError(f"'{name}': not an .npy of version 1 or 2")
    start = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
    match = _HEADER.fullmatch(data[8 + width : start]) if start <= MAX_HEADER_BYTES else None
    if match is None:
        raise DocumentError(f"'{name}': not numbers, booleans or text")
    descr, fortran_order, sizes = (group.decode() for group in match.groups())
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    return descr, "F" if fortran_order == "True" else "C", shape, start
