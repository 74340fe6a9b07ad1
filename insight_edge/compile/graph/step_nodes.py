# SPDX-License-Identifier: Apache-2.0
"""Steps of pre-processing as ONNX operators, and a graph that begins with them.

Only steps that an engine does with the same numbers: arithmetic in float32 and moves of elements.
Resizing and decoding are left to the executor, whose definition no engine shares.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from insight_edge.compile.graph.renaming import names_of, rename
from insight_edge.documents.steps import AnyStep, Cast, Channels, Layout, Normalize, Scale
from insight_edge.documents.tensors import TensorSpec

_FLOATS = ("float16", "float32")
_CASTS = (*_FLOATS, "uint8", "int8", "uint16", "int16", "int32", "bool")
"""What may be cast to a float: every engine agrees on these."""

OPSET = 13
"""The least in which the operators are written as here."""


def fusable(step: AnyStep, spec: TensorSpec) -> bool:
    """Return whether an engine makes of a tensor what the step makes of it."""
    if isinstance(step, Cast):
        return step.dtype in _FLOATS and spec.dtype in _CASTS
    if isinstance(step, Scale | Normalize):
        return spec.dtype in _CASTS
    return isinstance(step, Layout | Channels)


def prepend(model: ModelProto, steps: Sequence[AnyStep], specs: Sequence[TensorSpec]) -> ModelProto:
    """Return a model whose graph does the steps to an input before all else.

    Args:
        model: checked, of `OPSET` or later; it stays as it is.
        steps: fusable, in a row; the last writes an input of the model.
        specs: of what each of them reads; the first becomes the input.
    """
    made = ModelProto()
    made.CopyFrom(model)
    fed, given = steps[-1].result, specs[0]
    taken = names_of(made) | {fed, given.name}
    inner = _free(f"{fed}_fed", taken)
    rename(made.graph, {fed: inner})
    nodes = _Nodes(taken | {inner})
    read = given.name
    for step, spec in zip(steps, specs, strict=True):
        read = nodes.add(step, spec, read)
    nodes.nodes[-1].output[0] = inner
    before = list(made.graph.node)
    del made.graph.node[:]
    made.graph.node.extend([*nodes.nodes, *before])
    made.graph.initializer.extend(nodes.weights)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(given.dtype))
    value = next(value for value in made.graph.input if value.name == fed)
    value.CopyFrom(helper.make_tensor_value_info(given.name, kind, given.shape))
    return made


class _Nodes:
    """Operators in a row, and the constants that they read."""

    def __init__(self, taken: set[str]) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self._taken = taken

    def add(self, step: AnyStep, spec: TensorSpec, read: str) -> str:
        """Append what the step does to the tensor `read`; return the name of the result."""
        match step:
            case Scale():
                read = self._node(
                    "Mul", self._as(read, spec, "float32"), np.array(step.factor, np.float32)
                )
                return (
                    self._node("Add", read, np.array(step.offset, np.float32))
                    if step.offset
                    else read
                )
            case Normalize():
                shape = [1] * len(spec.shape)
                shape[step.axis] = -1
                mean, std = (
                    np.array(of, np.float32).reshape(shape) for of in (step.mean, step.std)
                )
                return self._node(
                    "Div", self._node("Sub", self._as(read, spec, "float32"), mean), std
                )
            case Layout():
                return self._layout(step, read)
            case Channels():
                return self._node("Gather", read, np.array(step.order, np.int64), axis=step.axis)
            case Cast():
                return self._as(read, spec, step.dtype, always=True)
            case _:
                raise TypeError(f"{type(step).__name__} is no operator")

    def _layout(self, step: Layout, read: str) -> str:
        kept = [letter for letter in step.to if letter in step.origin]
        order = [step.origin.index(letter) for letter in kept]
        read = self._node("Transpose", read, perm=order)
        added = [axis for axis, letter in enumerate(step.to) if letter not in step.origin]
        return self._node("Unsqueeze", read, np.array(added, np.int64)) if added else read

    def _as(self, read: str, spec: TensorSpec, dtype: str, *, always: bool = False) -> str:
        if spec.dtype == dtype and not always:
            return read
        return self._node("Cast", read, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def _node(
        self, op: str, read: str, constant: NDArray[Any] | None = None, **settings: Any
    ) -> str:
        reads, result = [read], self._name(f"pre_{op.lower()}")
        if constant is not None:
            reads.append(self._name(f"{result}_by"))
            self.weights.append(numpy_helper.from_array(np.asarray(constant), reads[-1]))
        self.nodes.append(helper.make_node(op, reads, [result], name=result, **settings))
        return result

    def _name(self, wanted: str) -> str:
        name = _free(wanted, self._taken)
        self._taken.add(name)
        return name


def _free(wanted: str, taken: set[str]) -> str:
    """Return a name that nothing has, the wanted one if that is free."""
    number, name = 1, wanted
    while name in taken:
        number, name = number + 1, f"{wanted}_{number}"
    return name
