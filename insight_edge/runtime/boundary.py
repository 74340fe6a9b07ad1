# SPDX-License-Identifier: Apache-2.0
"""What callers may pass to `infer`: the names, dtypes and shapes of a manifest.

Inputs that look like those of the call before are not checked again, so a
stream of equal inputs costs a comparison. Values are never looked at: NaN is
the observer's business, not an error.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import TensorMismatchError

_Looks = tuple[int, tuple[tuple[str, Any, tuple[int, ...]], ...]]
"""Rows, then name, dtype and shape of every input."""


class Boundary:
    """Checks inputs against their specs."""

    def __init__(self, specs: Sequence[TensorSpec]) -> None:
        self._specs = tuple(specs)
        self._names = tuple(spec.name for spec in specs)
        self._last: _Looks | None = None

    def rows(self, inputs: Mapping[str, NDArray[Any]]) -> int:
        """Return the number of rows in inputs that may be passed on.

        Raises:
            TensorMismatchError: a name, type, dtype, rank or dimension is not the manifest's.
        """
        last = self._last  # one look: other callers store theirs meanwhile
        if last is None or inputs.__class__ is not dict or len(inputs) != len(last[1]):
            return self._check(inputs)
        for name, dtype, shape in last[1]:
            array = inputs.get(name)
            if array.__class__ is not np.ndarray:
                return self._check(inputs)
            if array.dtype is not dtype or array.shape != shape:
                return self._check(inputs)
        return last[0]

    def _check(self, inputs: Mapping[str, NDArray[Any]]) -> int:
        if not isinstance(inputs, Mapping):
            raise TensorMismatchError(
                f"inputs: expected arrays by name, found {type(inputs).__name__}",
                hint=f"pass {{'{self._names[0]}': array}}",
            )
        self._refuse_names(inputs)
        sizes: dict[str, int] = {}
        for spec in self._specs:
            _refuse_array(spec, inputs[spec.name])
            _refuse_shape(spec, inputs[spec.name].shape, sizes)
        rows = inputs[self._names[0]].shape[0] if self._specs[0].shape else 1
        looks = tuple((name, inputs[name].dtype, inputs[name].shape) for name in self._names)
        self._last = rows, looks
        return rows

    def _refuse_names(self, inputs: Mapping[str, object]) -> None:
        hint = f"inputs: {', '.join(self._names)}"
        for name in self._names:
            if name not in inputs:
                raise TensorMismatchError(f"input '{name}' is missing", hint=hint)
        for name in inputs:
            if name not in self._names:
                raise TensorMismatchError(f"there is no input '{name}'", hint=hint)


def _refuse_array(spec: TensorSpec, value: object) -> None:
    if not isinstance(value, np.ndarray):
        raise TensorMismatchError(
            f"input '{spec.name}': expected {_wanted(spec)}, found {type(value).__name__}",
            hint=f"pass numpy.asarray(value, dtype='{spec.dtype}') of that shape",
        )
    wanted = np.dtype(spec.dtype)
    # Text is of any length.
    if value.dtype != wanted and not value.dtype.kind == wanted.kind == "U":
        raise TensorMismatchError(
            f"input '{spec.name}': expected {spec.dtype}, found {value.dtype}",
            hint=f"convert it with .astype('{spec.dtype}') if its values mean the same",
        )


def _refuse_shape(spec: TensorSpec, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    """Refuse a shape; a symbolic dimension has one size in all inputs, at least 1."""
    if len(shape) != len(spec.shape):
        batchless = len(shape) == len(spec.shape) - 1
        raise TensorMismatchError(
            f"input '{spec.name}': expected {_wanted(spec)}, found rank {len(shape)}: {shape}",
            hint="the first dimension is the batch: pass array[None]" if batchless else None,
        )
    for axis, (wanted, found) in enumerate(zip(spec.shape, shape, strict=True)):
        expected = sizes.setdefault(wanted, found) if isinstance(wanted, str) else wanted
        if found != expected or found < 1:
            complaint = "is empty" if found < 1 else f"must be {expected}"
            raise TensorMismatchError(
                f"input '{spec.name}': expected {_wanted(spec)}, found {shape}: "
                f"dimension {axis} {complaint}"
            )


def _wanted(spec: TensorSpec) -> str:
    return f"{spec.dtype} ({', '.join(map(str, spec.shape))})"
