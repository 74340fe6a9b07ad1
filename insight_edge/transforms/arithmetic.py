# SPDX-License-Identifier: Apache-2.0
"""What each step computes (rules T5 to T11 and T20 to T23 in docs/formats/transforms.md).

Only element-wise arithmetic, gathers and sums along contiguous rows: no matrix
product, whose rounding depends on the library and on the batch. This module
checks nothing (`shapes` has done so once).
"""

from functools import lru_cache, singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.steps import (
    Argmax,
    Cast,
    Label,
    Layout,
    Normalize,
    Scale,
    Sigmoid,
    Slice,
    Softmax,
    Step,
    Threshold,
    Top,
)
from insight_edge.errors import TensorMismatchError

Array = NDArray[Any]


@singledispatch
def apply(step: Step, *arrays: Array) -> Array | tuple[Array, ...]:
    """Return what the step makes of the tensors that it reads, batch first, C-contiguous.

    One array for each tensor that it writes, alone where it writes one.

    Raises:
        TensorMismatchError: a `label` step meets an index that has no class, or an image does
            not fit a step.
        DocumentError, LimitExceededError: a row of `decode` is no image that is read.
    """
    raise TypeError(f"{type(step).__name__} is not a step for {len(arrays)} tensors")


@apply.register
def _scale(step: Scale, array: Array) -> Array:
    scaled = np.multiply(array, np.float32(step.factor), dtype=np.float32, casting="unsafe")
    if step.offset:
        scaled += np.float32(step.offset)
    return scaled


@apply.register
def _normalize(step: Normalize, array: Array) -> Array:
    shape = [1] * array.ndim
    shape[step.axis] = -1
    mean = np.array(step.mean, dtype=np.float32).reshape(shape)
    std = np.array(step.std, dtype=np.float32).reshape(shape)
    centred = np.subtract(array, mean, dtype=np.float32, casting="unsafe")
    return np.divide(centred, std, out=centred)


@apply.register
def _layout(step: Layout, array: Array) -> Array:
    order, index = _moves(step.origin, step.to)
    return np.ascontiguousarray(array.transpose(order)[index])


@lru_cache(maxsize=64)
def _moves(origin: str, to: str) -> tuple[tuple[int, ...], tuple[slice | None, ...]]:
    """Return how to transpose, and the index that then inserts the new dimensions."""
    order = tuple(origin.index(letter) for letter in to if letter in origin)
    return order, tuple(slice(None) if letter in origin else None for letter in to)


@apply.register
def _cast(step: Cast, array: Array) -> Array:
    return np.ascontiguousarray(array, dtype=step.dtype)


@apply.register
def _softmax(step: Softmax, array: Array) -> Array:
    # Contiguous rows, so that NumPy's order of summation does not depend on the batch.
    rows = np.ascontiguousarray(array.swapaxes(step.axis, -1), dtype=np.float32)
    powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return np.ascontiguousarray(powers.swapaxes(step.axis, -1))


@apply.register
def _argmax(step: Argmax, array: Array) -> Array:
    indices: Array = np.argmax(array, axis=step.axis)
    return indices.astype(np.int64, copy=False)


@apply.register
def _sigmoid(step: Sigmoid, array: Array) -> Array:
    del step
    # Never the exponential of a positive number, which overflows.
    power = np.exp(-np.abs(array, dtype=np.float32, casting="unsafe"))
    shares: Array = np.where(array < 0, power, np.float32(1)) / (1 + power)
    return shares


@apply.register
def _top(step: Top, array: Array) -> tuple[Array, Array]:
    indices = np.argsort(-array.astype(np.float64), axis=-1, kind="stable")[..., : step.count]
    return np.take_along_axis(array, indices, axis=-1), indices.astype(np.int64, copy=False)


@apply.register
def _threshold(step: Threshold, array: Array) -> Array:
    found: Array = array >= np.array(step.least, dtype=np.float32)
    return found


@apply.register
def _slice(step: Slice, array: Array) -> Array:
    index = [slice(None)] * array.ndim
    index[step.axis] = slice(step.start, step.stop)
    return np.ascontiguousarray(array[tuple(index)])


@apply.register
def _label(step: Label, array: Array) -> Array:
    least = 0 if step.absent is None else -1
    if array.size and not (array.min() >= least and array.max() < len(step.classes)):
        wrong = int(array.min()) if array.min() < least else int(array.max())
        raise TensorMismatchError(
            f"'{step.source}' holds class {wrong}, and there are {len(step.classes)} classes"
        )
    # What -1 is called comes last, where an index of -1 finds it.
    names = step.classes if step.absent is None else (*step.classes, step.absent)
    return _names(names)[array]


@lru_cache(maxsize=16)
def _names(classes: tuple[str, ...]) -> Array:
    return np.array(classes)
