# SPDX-License-Identifier: Apache-2.0
"""One tensor of a `.tflite` file as callers know it: their name, axes and numbers.

Converters move channels last, narrow 64-bit integers and scale floats to 8 bits.
A port undoes that at the border, so that nobody outside knows of it. It is NumPy
and nothing else; what the file says comes in as values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.tensors import TensorSpec

Array = NDArray[Any]
Axes = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or output of a file.

    Attributes:
        name, dtype: what callers call it and pass or get.
        index: of the tensor in the file.
        file_dtype: what it holds there.
        axes: the file's axes as numbers of the caller's, or None where they are the same.
        scale, zero: a float is (number - zero) * scale; scale is 0 where it is no such number.
        listed: it has no dimension, and the file has it as a list of one.
    """

    name: str
    dtype: np.dtype[Any]
    index: int
    file_dtype: np.dtype[Any]
    axes: Axes | None = None
    scale: float = 0.0
    zero: int = 0
    listed: bool = False

    def to_file(self, array: Array) -> Array:
        """Return a caller's array as the file takes it.

        Raises:
            OverflowError: an integer does not fit the file's type.
        """
        if self.axes is not None:
            array = array.transpose(self.axes)
        if self.listed:
            array = array.reshape(1)
        if self.file_dtype == self.dtype:
            return array
        if self.scale:
            return _quantized(array, self.file_dtype, self.scale, self.zero)
        return _narrowed(array, self.file_dtype, self.name)

    def to_caller(self, array: Array) -> Array:
        """Return what the file holds as callers get it; the array is theirs."""
        if self.scale and self.file_dtype != self.dtype:
            array = ((array.astype(np.int32) - self.zero) * np.float32(self.scale)).astype(
                self.dtype
            )
        elif self.file_dtype != self.dtype:
            array = array.astype(self.dtype)
        if self.listed:
            array = array.reshape(())
        if self.axes is None:
            return array
        return np.ascontiguousarray(array.transpose(np.argsort(self.axes)))


def port(
    spec: TensorSpec, details: Mapping[str, Any], axes: Axes | None, *, is_input: bool
) -> Port:
    """Return the port of a tensor.

    Args:
        spec: as callers know it.
        details: of the tensor, as an interpreter gives them.
        axes: the file's axes as numbers of the caller's.
        is_input: whether callers pass it.

    Raises:
        ValueError: its rank is another, its axes are no order of them, or no conversion leads
            from the one type to the other.
    """
    dtype, file_dtype = np.dtype(spec.dtype), np.dtype(details["dtype"])
    scale, zero = details.get("quantization", (0.0, 0))
    rank = len(details["shape"])
    listed = not spec.shape and tuple(details["shape"]) == (1,)
    is_order = axes is None or sorted(axes) == list(range(rank))
    if not is_order or (rank != len(spec.shape) and not listed):
        raise ValueError(f"tensor '{spec.name}' has rank {rank} in the file, not {len(spec.shape)}")
    taken, given = (dtype, file_dtype) if is_input else (file_dtype, dtype)
    if not _convertible(taken, given, scale=bool(scale), is_input=is_input):
        raise ValueError(f"tensor '{spec.name}' is {file_dtype} in the file, not {dtype}")
    return Port(
        name=spec.name,
        dtype=dtype,
        index=int(details["index"]),
        file_dtype=file_dtype,
        axes=None if axes == tuple(range(rank)) else axes,
        scale=float(scale),
        zero=int(zero),
        listed=listed,
    )


def _convertible(
    taken: np.dtype[Any], given: np.dtype[Any], *, scale: bool, is_input: bool
) -> bool:
    """Return whether a conversion keeps the meaning; integers that are fed may be narrowed."""
    if taken == given:
        return True
    if scale and {taken.kind, given.kind} in ({"f", "i"}, {"f", "u"}):
        return True
    if is_input and {taken.kind, given.kind} <= {"i", "u"}:
        return True
    return taken.kind == given.kind and np.can_cast(taken, given, "safe")


def _quantized(array: Array, dtype: np.dtype[Any], scale: float, zero: int) -> Array:
    """Round half to even as the kernels do, and saturate; NaN becomes the lowest number."""
    bounds = np.iinfo(dtype)
    steps = np.rint(array * np.float32(1 / scale)) + np.float32(zero)
    return np.fmin(np.fmax(steps, bounds.min), bounds.max).astype(dtype)


def _narrowed(array: Array, dtype: np.dtype[Any], name: str) -> Array:
    narrow = array.astype(dtype)
    if not np.array_equal(narrow, array):
        raise OverflowError(f"input '{name}' holds a number that {dtype} does not")
    return narrow
