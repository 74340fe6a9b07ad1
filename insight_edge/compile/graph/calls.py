# SPDX-License-Identifier: Apache-2.0
"""A model that takes no rows, made one that does: one row is one whole call of it.

Every input gets a first dimension of 1, which is taken off inside, every output one that
is put on; names stay. So a state whose batch comes second, a single number and inputs of
several heights are rows like any other, one a call. Pure: which models are made so is for
`compile.graph.rowwise` to say, and nothing is run here.
"""

from collections.abc import Container

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from insight_edge.compile.graph.check import opset_of
from insight_edge.compile.graph.parts import bodies
from insight_edge.compile.graph.renaming import names_of, rename
from insight_edge.compile.graph.shapes import input_values

AXES_AS_INPUT = 13
"""The first opset in which Squeeze and Unsqueeze take their axes as an input."""

TAKEN, GIVEN, AXES = "call", "answer", "call_axes"
"""What is appended to the names of inputs and outputs inside, and what the axes are called."""


def called(model: ModelProto) -> ModelProto:
    """Return a model that takes and gives one call a row.

    A free dimension that is the batch is 1 in every call; others stay free.

    Args:
        model: that passed `check_model`, without functions; it stays as it is.
    """
    found = ModelProto()
    found.CopyFrom(model)
    if not opset_of(found):
        found.opset_import.add(domain="", version=AXES_AS_INPUT)
    _bind(found, batches(found.graph))
    inputs = input_values(found.graph)
    passed = {value.name for value in inputs}
    # What is handed on untouched has its first dimension already.
    outputs = [value for value in found.graph.output if value.name not in passed]
    used = names_of(found)
    inner = {value.name: _unused(f"{value.name}/{TAKEN}", used) for value in inputs}
    inner |= {value.name: _unused(f"{value.name}/{GIVEN}", used) for value in outputs}
    rename(found.graph, inner)
    axes = _Axes(opset_of(found), _unused(AXES, used))
    before = [axes.node("Squeeze", value.name, inner[value.name]) for value in inputs]
    after = [axes.node("Unsqueeze", inner[value.name], value.name) for value in outputs]
    nodes = [*axes.constant, *before, *found.graph.node, *after]
    del found.graph.node[:]
    found.graph.node.extend(nodes)
    for value in (*inputs, *found.graph.output):
        _lead(value)
    return found


def batches(graph: GraphProto) -> frozenset[str]:
    """Return the names of free dimensions that are the batch.

    Such a name begins an input, and every input of two dimensions or more has it. The length of a
    recording is not in the state that goes with it, and stays free.
    """
    shapes = [
        [str(dimension.dim_param) for dimension in value.type.tensor_type.shape.dim]
        for value in input_values(graph)
    ]
    high = [shape for shape in shapes if len(shape) > 1]
    begun = frozenset(shape[0] for shape in high) - {""}
    return begun.intersection(*high)


class _Axes:
    """The first axis, as an opset has it told."""

    def __init__(self, opset: int, name: str) -> None:
        self._as_input = opset >= AXES_AS_INPUT
        self._name = name

    @property
    def constant(self) -> list[NodeProto]:
        """What makes the axes, where they are an input."""
        if not self._as_input:
            return []
        axes = helper.make_tensor(self._name, TensorProto.INT64, [1], [0])
        return [helper.make_node("Constant", [], [self._name], name=self._name, value=axes)]

    def node(self, op: str, source: str, target: str) -> NodeProto:
        """Return what takes the first dimension off a tensor, or puts it on."""
        if self._as_input:
            return helper.make_node(op, [source, self._name], [target], name=f"{target}/{op}")
        return helper.make_node(op, [source], [target], name=f"{target}/{op}", axes=[0])


def _bind(model: ModelProto, names: Container[str]) -> None:
    """Make dimensions of these names 1, wherever they are declared."""
    for body, _ in bodies(model):
        faces = (*body.input, *body.output) if isinstance(body, GraphProto) else ()
        for value in (*faces, *body.value_info):
            for dimension in value.type.tensor_type.shape.dim:
                if dimension.dim_param in names:
                    dimension.dim_value = 1


def _lead(value: ValueInfoProto) -> None:
    """Put a dimension of 1 before those of a tensor."""
    shape = value.type.tensor_type.shape
    sizes = [*shape.dim]
    del shape.dim[:]
    shape.dim.add(dim_value=1)
    shape.dim.extend(sizes)


def _unused(name: str, used: set[str]) -> str:
    """Return a name that nothing has, and take it."""
    while name in used:
        name += "_"
    used.add(name)
    return name
