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
    Resize,
    Scale,
    Softmax,
    Step,
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
def result_spec(step: Step, spec: TensorSpec) -> TensorSpec:
    """Return the spec of `step.result`, given that of `step.source`.

    Raises:
        ConfigurationError: the step cannot be applied to such a tensor.
    """
    raise TypeError(f"{type(step).__name__} is not a step for '{spec.name}'")


@result_spec.register
def _resize(step: Resize, spec: TensorSpec) -> TensorSpec:
    _number(spec)
    if len(spec.shape) not in {3, 4}:
        raise ConfigurationError(
            f"'{spec.name}' has {len(spec.shape)} dimensions",
            hint="images are (batch, h, w) or (batch, h, w, channels)",
        )
    if step.height < 1 or step.width < 1:
        raise ConfigurationError(f"{step.height} by {step.width} is not an image size")
    shape = (spec.shape[0], step.height, step.width, *spec.shape[3:])
    return TensorSpec(name=step.result, dtype="float32", shape=shape)


@result_spec.register
def _scale(step: Scale, spec: TensorSpec) -> TensorSpec:
    _number(spec)
    return TensorSpec(name=step.result, dtype="float32", shape=spec.shape)


@result_spec.register
def _normalize(step: Normalize, spec: TensorSpec) -> TensorSpec:
    _number(spec)
    size = spec.shape[_axis(step.axis, spec)]
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
    _number(spec)
    if step.dtype not in DTYPES:
        raise ConfigurationError(
            f"'{step.dtype}' is not a dtype", hint=f"one of {', '.join(sorted(DTYPES))}"
        )
    return TensorSpec(name=step.result, dtype=step.dtype, shape=spec.shape)


@result_spec.register
def _softmax(step: Softmax, spec: TensorSpec) -> TensorSpec:
    _number(spec)
    _axis(step.axis, spec)
    return TensorSpec(name=step.result, dtype="float32", shape=spec.shape)


@result_spec.register
def _argmax(step: Argmax, spec: TensorSpec) -> TensorSpec:
    _number(spec)
    _axis(-1, spec)
    return TensorSpec(name=step.result, dtype="int64", shape=spec.shape[:-1])


@result_spec.register
def _label(step: Label, spec: TensorSpec) -> TensorSpec:
    if spec.dtype == TEXT or np.dtype(spec.dtype).kind not in "iu":
        raise ConfigurationError(f"'{spec.name}' is {spec.dtype}, not an index")
    if not step.classes:
        raise ConfigurationError("there are no classes")
    return msgspec.structs.replace(spec, name=step.result, dtype=TEXT)


def _number(spec: TensorSpec) -> None:
    if spec.dtype not in DTYPES:
        raise ConfigurationError(f"'{spec.name}' is {spec.dtype}, not a number")


def _axis(axis: int, spec: TensorSpec) -> int:
    """Return `axis` counted from the front; the batch is not one to compute along."""
    rank = len(spec.shape)
    if not -rank <= axis < rank:
        raise ConfigurationError(f"'{spec.name}' has {rank} dimensions, none of them {axis}")
    if axis % rank == 0:
        raise ConfigurationError(f"dimension {axis} of '{spec.name}' is the batch")
    return axis % rank
