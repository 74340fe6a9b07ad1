# SPDX-License-Identifier: Apache-2.0
"""Named arrays in an .npz: plain numbers only, bounded before they are unpacked.

`numpy.load` is not used: it allocates what the file claims. The same arrays
give the same bytes, on every machine.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from insight_edge.errors import DocumentError, LimitExceededError

_PLAIN_KINDS = frozenset("biufU")
MAX_HEADER_BYTES = 4096
_HEADER: Final = re.compile(
    rb"\{'descr': '([<>|][biufU][0-9]{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:[0-9]{1,18}, ?){0,32}[0-9]{0,18})\), \} *\n"
)
"""The header that every NumPy since 1.0 writes for an array of these kinds."""

_SUFFIX = ".npy"
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
NOT_AN_NPZ = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What zipfile lets through of a damaged archive, found by damaging one."""


def npz_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return an .npz of the arrays, in the order given, uncompressed.

    Raises:
        DocumentError: an array is not of numbers, booleans or text.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, array in arrays.items():
            if array.dtype.kind not in _PLAIN_KINDS:
                raise DocumentError(f"'{name}': arrays of {array.dtype} are not written")
            member = io.BytesIO()
            npy.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            # ZipInfo's default date is fixed: equal arrays have equal bytes.
            archive.writestr(zipfile.ZipInfo(name + _SUFFIX), member.getvalue())
    return packed.getvalue()


def arrays_from_npz(data: bytes, *, max_bytes: int, max_arrays: int) -> dict[str, NDArray[Any]]:
    """Return the arrays by name; they are read-only.

    Raises:
        LimitExceededError: they unpack to more than `max_bytes`, or are more than `max_arrays`.
        DocumentError: not an .npz of numbers, booleans and text (pickles are never loaded).
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            refuse_size(members, max_bytes=max_bytes, max_arrays=max_arrays)
            arrays = {
                member.filename.removesuffix(_SUFFIX): _array(
                    _unpack(archive, member), member.filename
                )
                for member in members
            }
    except NOT_AN_NPZ as error:
        raise DocumentError(f"not an .npz: {error}") from error
    if len(arrays) < len(members):
        raise DocumentError("two arrays have one name")
    return arrays


def refuse_size(members: list[zipfile.ZipInfo], *, max_bytes: int, max_arrays: int) -> None:
    """Refuse by what the archive's directory says; zipfile reads no member beyond that.

    Raises:
        LimitExceededError: more arrays or bytes than that.
    """
    if len(members) > max_arrays:
        raise LimitExceededError(f"{len(members)} arrays, at most {max_arrays} are read")
    unpacked_bytes = sum(member.file_size for member in members)
    if unpacked_bytes > max_bytes:
        raise LimitExceededError(f"unpacks to {unpacked_bytes} bytes, at most {max_bytes} are read")


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in _COMPRESSIONS:
        raise DocumentError(f"'{member.filename}': unknown compression")
    with archive.open(member) as stream:
        # Never `read()`: that unpacks all there is, whatever the directory promised.
        return stream.read(member.file_size)


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
