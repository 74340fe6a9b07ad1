# SPDX-License-Identifier: Apache-2.0
"""What each step makes of a tensor's spec, and why some steps cannot be applied.

Nothing here touches an array: a manifest is checked before there is any.
"""

from functools import singledispatch

import msgspec
import numpy as np

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
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError

TEXT = "str"
"""Dtype of what `label` writes: NumPy strings as long as the longest class name."""

DTYPES = frozenset(
    np.dtype(code).name for code in (*np.typecodes["AllInteger"], *np.typecodes["Float"], "?")
) - {np.dtype(np.longdouble).name}
"""Dtypes that mean the same on every machine."""


@singledispatch
def result_spec(step: Step, *specs: TensorSpec) -> TensorSpec | tuple[TensorSpec, ...]:
    """Return the specs of what the step writes, given those of what it reads.

    One for each tensor, alone where there is one.

    Raises:
        ConfigurationError: the step cannot be applied to such tensors.
    """
    raise TypeError(f"{type(step).__name__} is not a step for {len(specs)} tensors")


@result_spec.register
def _scale(step: Scale, spec: TensorSpec) -> TensorSpec:
    refuse_text(spec)
    return TensorSpec(name=step.result, dtype="float32", shape=spec.shape)


@result_spec.register
def _normalize(step: Normalize, spec: TensorSpec) -> TensorSpec:
    refuse_text(spec)
    size = spec.shape[axis_of(step.axis, spec)]
    if not len(step.mean) == len(step.std) == size:
        raise ConfigurationError(
            f"{len(step.mean)} means and {len(step.std)} deviations, and dimension {step.axis} "
            f"of '{spec.name}' is {size}"
        )
    if not all(std > 0 for std in step.std):
        raise ConfigurationError("a deviation is not positive")
    return TensorSpec(name=step.result, dtype="float32", shape=spec.shape)


@result_spec.register
def _layout(step: Layout, spec: TensorSpec) -> TensorSpec:
    if len(step.origin) != len(spec.shape):
        raise ConfigurationError(
            f"origin '{step.origin}' names {len(step.origin)} dimensions, and '{spec.name}' has "
            f"{len(spec.shape)}"
        )
    if len(set(step.origin)) < len(step.origin) or len(set(step.to)) < len(step.to):
        raise ConfigurationError(f"a letter is used twice in '{step.origin}' or '{step.to}'")
    if not set(step.origin) <= set(step.to):
        raise ConfigurationError(f"'{step.to}' leaves out a dimension of '{step.origin}'")
    if step.origin[:1] != step.to[:1]:
        raise ConfigurationError(f"'{step.to}' moves the batch away from the first dimension")
    sizes = dict(zip(step.origin, spec.shape, strict=True))
    shape = tuple(sizes.get(letter, 1) for letter in step.to)
    return TensorSpec(name=step.result, dtype=spec.dtype, shape=shape)


@result_spec.register
def _cast(step: Cast, spec: TensorSpec) -> TensorSpec:
    refuse_text(spec)
    if step.dtype not in DTYPES:
        raise ConfigurationError(
            f"'{step.dtype}' is not a dtype", hint=f"one of {', '.join(sorted(DTYPES))}"
        )
    return TensorSpec(name=step.result, dtype=step.dtype, shape=spec.shape)


@result_spec.register
def _softmax(step: Softmax, spec: TensorSpec) -> TensorSpec:
    refuse_text(spec)
    axis_of(step.axis, spec)
    return TensorSpec(name=step.result, dtype="float32", shape=spec.shape)


@result_spec.register
def _argmax(step: Argmax, spec: TensorSpec) -> TensorSpec:
    refuse_text(spec)
    axis = axis_of(step.axis, spec)
    shape = (*spec.shape[:axis], *spec.shape[axis + 1 :])
    return TensorSpec(name=step.result, dtype="int64", shape=shape)


@result_spec.register
def _sigmoid(step: Sigmoid, spec: TensorSpec) -> TensorSpec:
    refuse_text(spec)
    return TensorSpec(name=step.result, dtype="float32", shape=spec.shape)


@result_spec.register
def _top(step: Top, spec: TensorSpec) -> tuple[TensorSpec, TensorSpec]:
    refuse_text(spec)
    size = spec.shape[axis_of(-1, spec)]
    if step.count < 1 or (isinstance(size, int) and step.count > size):
        raise ConfigurationError(f"the {step.count} largest of {size} values")
    shape = (*spec.shape[:-1], step.count)
    values = TensorSpec(name=step.result, dtype=spec.dtype, shape=shape)
    return values, TensorSpec(name=step.indices, dtype="int64", shape=shape)


@result_spec.register
def _threshold(step: Threshold, spec: TensorSpec) -> TensorSpec:
    refuse_text(spec)
    size = spec.shape[axis_of(-1, spec)]
    refuse_thresholds(step.least, size, spec)
    return TensorSpec(name=step.result, dtype="bool", shape=spec.shape)


def refuse_thresholds(least: tuple[float, ...], size: int | str, spec: TensorSpec) -> None:
    """Refuse thresholds that are neither one for all nor one for each of `size` entries.

    Raises:
        ConfigurationError: how many there are, and of what.
    """
    if len(least) not in {1, size}:
        raise ConfigurationError(
            f"{len(least)} thresholds, and the last dimension of '{spec.name}' is {size}",
            hint="give one for all, or one for each",
        )


@result_spec.register
def _slice(step: Slice, spec: TensorSpec) -> TensorSpec:
    axis = axis_of(step.axis, spec)
    size = spec.shape[axis]
    if not isinstance(size, int):
        raise ConfigurationError(f"dimension {step.axis} of '{spec.name}' has no fixed size")
    stop = size if step.stop is None else step.stop
    if not 0 <= step.start < stop <= size:
        raise ConfigurationError(
            f"dimension {step.axis} of '{spec.name}' is {size}: it has no {step.start} to {stop}"
        )
    shape = (*spec.shape[:axis], stop - step.start, *spec.shape[axis + 1 :])
    return TensorSpec(name=step.result, dtype=spec.dtype, shape=shape)


@result_spec.register
def _label(step: Label, spec: TensorSpec) -> TensorSpec:
    if spec.dtype == TEXT or np.dtype(spec.dtype).kind not in "iu":
        raise ConfigurationError(f"'{spec.name}' is {spec.dtype}, not an index")
    if not step.classes:
        raise ConfigurationError("there are no classes")
    return msgspec.structs.replace(spec, name=step.result, dtype=TEXT)


def refuse_text(spec: TensorSpec) -> None:
    """Refuse what is not of numbers.

    Raises:
        ConfigurationError: its dtype is not in `DTYPES`.
    """
    if spec.dtype not in DTYPES:
        raise ConfigurationError(f"'{spec.name}' is {spec.dtype}, not a number")


def axis_of(axis: int, spec: TensorSpec) -> int:
    """Return `axis` counted from the front; the batch is not one to compute along.

    Raises:
        ConfigurationError: there is none, or it is the batch.
    """
    rank = len(spec.shape)
    if not -rank <= axis < rank:
        raise ConfigurationError(f"'{spec.name}' has {rank} dimensions, none of them {axis}")
    if axis % rank == 0:
        raise ConfigurationError(f"dimension {axis} of '{spec.name}' is the batch")
    return axis % rank
