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

_CASTS = ("float16", "float32", "uint8", "int8", "uint16", "int16", "int32", "bool")
"""What may be made a float: every engine agrees on these."""

OPSET = 13
"""The least in which the operators are written as here."""


def fusable(step: AnyStep, spec: TensorSpec) -> bool:
    """Return whether an engine makes of a tensor what the step makes of it."""
    if isinstance(step, Cast):
        return step.dtype == "float32" and spec.dtype in _CASTS
    if isinstance(step, Scale | Normalize):
        return spec.dtype in _CASTS
    return isinstance(step, Layout | Channels)


def prepend(model: ModelProto, steps: Sequence[AnyStep], given: TensorSpec) -> ModelProto:
    """Return a model whose graph does the steps to an input before all else.

    Args:
        model: checked, of `OPSET` or later; it stays as it is.
        steps: fusable, in a row; the last writes an input of the model.
        given: what the first of them reads; it becomes the input.
    """
    made = ModelProto()
    made.CopyFrom(model)
    fed = steps[-1].result
    taken = names_of(made) | {fed, given.name}
    inner = _free(f"{fed}_fed", taken)
    rename(made.graph, {fed: inner})
    nodes = _Nodes(taken | {inner}, given)
    for step in steps:
        nodes.add(step)
    nodes.finish(inner)
    before = list(made.graph.node)
    del made.graph.node[:]
    made.graph.node.extend([*nodes.nodes, *before])
    made.graph.initializer.extend(nodes.weights)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(given.dtype))
    value = next(value for value in made.graph.input if value.name == fed)
    value.CopyFrom(helper.make_tensor_value_info(given.name, kind, given.shape))
    return made


class _Nodes:
    """Operators in a row, and the constants that they read.

    Moves of elements come first, while these are small; all arithmetic is then one factor and one
    offset an entry, broadcast along whole planes: an engine passes over them once or twice.
    """

    def __init__(self, taken: set[str], given: TensorSpec) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self._taken = taken
        self._read, self._dtype = given.name, given.dtype
        self._is_float = given.dtype == "float32"
        shape = (1,) * len(given.shape)
        self._factor: NDArray[np.float64] = np.ones(shape)
        self._offset: NDArray[np.float64] = np.zeros(shape)

    def add(self, step: AnyStep) -> None:
        """Take in what a step does."""
        match step:
            case Scale():
                self._arithmetic(np.float64(step.factor), np.float64(step.offset))
            case Normalize():
                shape = [1] * self._factor.ndim
                shape[step.axis] = -1
                mean, std = (np.array(each).reshape(shape) for each in (step.mean, step.std))
                self._arithmetic(1 / std, -mean / std)
            case Cast():
                self._is_float = True
            case Channels():
                self._take(step)
            case Layout():
                self._turn(step)
            case _:
                raise TypeError(f"{type(step).__name__} is no operator")

    def finish(self, name: str) -> None:
        """Do the arithmetic, and give the result its name."""
        if self._is_float and self._dtype != "float32":
            self._node("Cast", to=TensorProto.FLOAT)
        if (self._factor != 1).any():
            self._node("Mul", self._factor.astype(np.float32))
        if (self._offset != 0).any():
            self._node("Add", self._offset.astype(np.float32))
        if not self.nodes:
            self._node("Identity")
        self.nodes[-1].output[0] = name

    def _arithmetic(self, factor: Any, offset: Any) -> None:
        self._is_float = True
        self._factor = self._factor * factor
        self._offset = self._offset * factor + offset

    def _take(self, step: Channels) -> None:
        self._node("Gather", np.array(step.order, np.int64), axis=step.axis)
        self._factor, self._offset = (
            each if each.shape[step.axis] == 1 else each.take(step.order, axis=step.axis)
            for each in (self._factor, self._offset)
        )

    def _turn(self, step: Layout) -> None:
        order = [step.origin.index(letter) for letter in step.to if letter in step.origin]
        added = [axis for axis, letter in enumerate(step.to) if letter not in step.origin]
        if order != sorted(order):
            self._node("Transpose", perm=order)
        if added:
            self._node("Unsqueeze", np.array(added, np.int64))
        self._factor, self._offset = (
            np.expand_dims(each.transpose(order), tuple(added))
            for each in (self._factor, self._offset)
        )

    def _node(self, op: str, constant: NDArray[Any] | None = None, **settings: Any) -> None:
        reads, result = [self._read], self._name(f"pre_{op.lower()}")
        if constant is not None:
            reads.append(self._name(f"{result}_by"))
            self.weights.append(numpy_helper.from_array(constant, reads[-1]))
        self.nodes.append(helper.make_node(op, reads, [result], name=result, **settings))
        self._read = result

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
