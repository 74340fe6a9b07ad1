# SPDX-License-Identifier: Apache-2.0
"""Tensors of the Open Inference Protocol: arrays from JSON and from bytes, and back.

Nothing is converted on the way in: a number that its datatype cannot hold, text among numbers,
a list of another length are refused, with the tensor's name and what was expected. Nothing is
lost on the way out: NaN and infinity, for which JSON has no word, are refused there.
"""

import math
import struct
from functools import cache, reduce
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.open_inference import (
    DATATYPES,
    NUMPY_NAMES,
    InferInput,
    InputTensor,
    NumbersInput,
)
from insight_edge.errors import DocumentError, TensorMismatchError

Array = NDArray[Any]

TEXT: Final = "str"

_DTYPES: Final = {word: np.dtype(name) for word, name in NUMPY_NAMES.items()}
"""Little-endian on the wire, as is every machine that there is an engine for."""

_ELEMENTS: Final[dict[str, Any]] = {"b": bool, "u": int, "i": int, "f": float, "U": str}
"""What JSON writes an element as, by the kind of the dtype."""

_CODES: Final = {
    "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "INT8": "b", "INT16": "h",
    "INT32": "i", "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
"""What `struct` calls them; it refuses a fraction among integers, and what does not fit."""

_LENGTH = struct.Struct("<I")


def array_from_numbers(tensor: NumbersInput) -> Array:
    """Return a tensor whose elements are numbers in a flat list.

    Raises:
        DocumentError: it has none.
        TensorMismatchError: they are not of its datatype, or not of its shape.
    """
    dtype, numbers = _dtype(tensor), tensor.data
    if numbers is None:
        raise _empty(tensor)
    code = _CODES.get(tensor.datatype)
    if code is None:
        raise _unfit(tensor, "its elements are numbers")
    try:
        packed = struct.pack(f"<{len(numbers)}{code}", *numbers)
    except (struct.error, OverflowError) as error:
        raise _unfit(tensor, f"{error}") from error
    return _shaped(tensor, np.frombuffer(packed, dtype))


def array_from_json(tensor: InferInput) -> Array:
    """Return a tensor whose elements are in a flat list, or in lists nested as its shape is.

    Raises:
        TensorMismatchError: they are not of its datatype, or not of its shape.
    """
    dtype = _dtype(tensor)
    data = memoryview(tensor.data)
    depth = _depth(tensor, bytes(data[: 4 * len(tensor.shape) + 4]))
    try:
        found = _decoder(_ELEMENTS[dtype.kind], depth).decode(data)
        with np.errstate(over="ignore"):  # it is looked at below
            array = np.array(found, dtype)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        raise _unfit(tensor, f"{error}") from error
    if dtype.kind == "f" and dtype.itemsize < 8 and not np.isfinite(array).all():
        raise _unfit(tensor, "a number is out of its range")
    if depth > 1 and array.shape != tensor.shape:
        raise _unfit(tensor, f"the lists have shape {array.shape}")
    return _shaped(tensor, array)


def array_from_binary(tensor: InputTensor, data: memoryview) -> Array:
    """Return a tensor whose elements are bytes, row-major, as they are in memory.

    The array shares the memory of `data` where its alignment allows.

    Raises:
        TensorMismatchError: there are more or fewer bytes than its shape asks for, or an
            element of text is cut short or not UTF-8.
    """
    dtype = _dtype(tensor)
    if dtype.kind == "U":
        return _shaped(tensor, np.array(_texts(tensor, data), dtype))
    wanted = math.prod(tensor.shape) * dtype.itemsize
    if len(data) != wanted:
        raise _unfit(tensor, f"that is {wanted} bytes, found {len(data)}")
    if dtype.kind == "b" and np.frombuffer(data, np.uint8).max(initial=0) > 1:
        raise _unfit(tensor, "a byte is neither 0 nor 1")
    array: Array = np.frombuffer(data, dtype).reshape(tensor.shape)
    return array if array.flags.aligned else array.copy()


def list_from_array(name: str, array: Array) -> list[Any]:
    """Return the elements of a tensor, row-major, as JSON writes them.

    Raises:
        TensorMismatchError: one is NaN or infinite.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise TensorMismatchError(
            f"output '{name}' holds NaN or infinity, for which JSON has no word",
            hint="ask for it with the parameter binary_data",
        )
    found: list[Any] = array.ravel().tolist()
    return found


def bytes_from_array(array: Array) -> bytes:
    """Return the elements of a tensor, row-major, as the binary part holds them."""
    if array.dtype.kind != "U":
        return array.tobytes()
    texts = [text.encode() for text in array.ravel().tolist()]
    return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))


def datatype_from_array(array: Array) -> str:
    """Return the protocol's word for what an array holds."""
    return DATATYPES[TEXT if array.dtype.kind == "U" else array.dtype.name]


@cache
def _decoder(element: Any, depth: int) -> msgspec.json.Decoder[Any]:
    """Return what reads lists, so many deep, of elements of a type."""
    return msgspec.json.Decoder(reduce(lambda inner, _: list[inner], range(depth), element))  # type: ignore[valid-type]


def _dtype(tensor: InputTensor) -> np.dtype[Any]:
    found = _DTYPES.get(tensor.datatype)
    if found is None:
        raise TensorMismatchError(
            f"input '{tensor.name}': there is no datatype '{tensor.datatype}'",
            hint=f"known: {', '.join(NUMPY_NAMES)}",
        )
    return found


def _depth(tensor: InferInput, opening: bytes) -> int:
    """Return how many lists are around an element: one, or one for each dimension."""
    begun = opening.translate(None, b" \t\r\n")
    if not begun:
        raise _empty(tensor)
    nested = begun.startswith(b"[[") and len(tensor.shape) > 1
    return len(tensor.shape) if nested else 1


def _texts(tensor: InputTensor, data: memoryview) -> list[str]:
    """Return elements of text: each has its length in bytes before it, in 4 bytes."""
    found: list[str] = []
    at = 0
    while at < len(data):
        if at + _LENGTH.size > len(data):
            raise _unfit(tensor, "the length of an element is cut short")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            raise _unfit(tensor, f"element {len(found)} is cut short")
        try:
            found.append(str(data[at : at + length], "utf-8"))
        except UnicodeDecodeError as error:
            raise _unfit(tensor, f"element {len(found)} is not UTF-8") from error
        at += length
    return found


def _shaped(tensor: InputTensor, array: Array) -> Array:
    wanted = math.prod(tensor.shape)
    if array.size != wanted:
        raise _unfit(tensor, f"that is {wanted} elements, found {array.size}")
    return array.reshape(tensor.shape)


def _empty(tensor: InputTensor) -> DocumentError:
    return DocumentError(
        f"input '{tensor.name}' has neither data nor the parameter binary_data_size"
    )


def _unfit(tensor: InputTensor, found: str) -> TensorMismatchError:
    shape = ", ".join(map(str, tensor.shape))
    return TensorMismatchError(
        f"input '{tensor.name}': expected {tensor.datatype} ({shape}): {found}"
    )
