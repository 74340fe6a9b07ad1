# SPDX-License-Identifier: Apache-2.0
"""What is in a sample: the caller's arrays of one row, read within limits. Pure.

A device wrote the file, so nothing in it decides how much memory reading it takes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from insight_edge.bundle.npz import arrays_from_npz
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import DocumentError

MAX_BYTES = 16 * 1024 * 1024
"""Unpacked; a device keeps no more than a quarter of that."""

MAX_ARRAYS = 32

Arrays = Mapping[str, NDArray[Any]]


def read_sample(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of a sample by name.

    Raises:
        LimitExceededError: it unpacks to more than is ever read.
        DocumentError: it is no file of plain arrays.
    """
    return arrays_from_npz(data, max_bytes=MAX_BYTES, max_arrays=MAX_ARRAYS)


def check_inputs(arrays: Arrays, inputs: Sequence[TensorSpec]) -> None:
    """Refuse arrays that are not one row, (1, ...), of what callers feed a model.

    Raises:
        DocumentError: they are not.
    """
    if set(arrays) != {spec.name for spec in inputs}:
        named = ", ".join(sorted(arrays))[:200]
        raise DocumentError(f"it holds '{named}', which are not the inputs of its model")
    for spec in inputs:
        _check(spec, arrays[spec.name])


def _check(spec: TensorSpec, array: NDArray[Any]) -> None:
    if array.dtype.kind != "U" and array.dtype.name != spec.dtype:
        raise DocumentError(f"'{spec.name}' is {array.dtype}, the model takes {spec.dtype}")
    if array.ndim != len(spec.shape) or array.ndim == 0 or len(array) != 1:
        raise DocumentError(f"'{spec.name}' is {list(array.shape)}, which is not one row")
    for found, wanted in zip(array.shape[1:], spec.shape[1:], strict=True):
        if isinstance(wanted, int) and found != wanted:
            raise DocumentError(
                f"'{spec.name}' is {list(array.shape)}, the model takes {list(spec.shape)}"
            )
