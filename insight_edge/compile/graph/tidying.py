# SPDX-License-Identifier: Apache-2.0
"""What exporters write that ONNX does not allow, or that would be misread, put right in a model.

Nothing that it computes is touched: names that mean nothing, sizes that say "any", and
shapes of outputs that follow from the graph. Runs in the child that examines a file,
before that is checked: what cannot be put right is refused there. Functions are unfolded
once it was.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

import onnx
import onnx.inliner
from onnx import GraphProto, ModelProto, ValueInfoProto

from insight_edge.compile.graph.light import light_copy
from insight_edge.compile.graph.parts import subgraphs
from insight_edge.errors import ModelError

UNKNOWN = frozenset({"?", "None", "-1"})
"""What some exporters call every dimension that they do not know: taken as names, height and
width would have to be one size."""

GRAPH_NAME = "model"


def tidy(model: ModelProto) -> bool:
    """Put right what can be without changing an answer; return whether there was anything.

    Args:
        model: changed in place; nothing of it was checked.
    """
    steps: tuple[Callable[[GraphProto], bool], ...] = (
        _name_graph,
        _free_dimensions,
        _part_twins,
    )
    changed = [step(graph) for graph in _graphs(model.graph) for step in steps]
    return _shape_outputs(model) or any(changed)


def unfold(model: ModelProto) -> ModelProto:
    """Return the model with calls of its functions replaced by what they do, or itself.

    Args:
        model: one that was checked; it stays as it is.

    Raises:
        ModelError: a function is called otherwise than it is written.
    """
    if not model.functions:
        return model
    try:
        return onnx.inliner.inline_local_functions(model)
    except RuntimeError as error:
        raise ModelError(f"not valid ONNX: a function cannot be called so: {error}") from error


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    waiting = [graph]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += [inner for node in found.node for inner in subgraphs(node)]


def _name_graph(graph: GraphProto) -> bool:
    """Give a graph the name that ONNX requires and nothing reads."""
    nameless = not graph.name
    if nameless:
        graph.name = GRAPH_NAME
    return nameless


def _free_dimensions(graph: GraphProto) -> bool:
    """Free what has a negative size, a batch of none or a name that means "unknown".

    A list of nothing is one: axes, for example.
    """
    changed = False
    for value in (*graph.input, *graph.output, *graph.value_info):
        dimensions = value.type.tensor_type.shape.dim
        for axis, dimension in enumerate(dimensions):
            size = dimension.dim_value if dimension.HasField("dim_value") else None
            batch = axis == 0 and len(dimensions) > 1
            anything = size is not None and (size < 0 or (size == 0 and batch))
            if anything or dimension.dim_param in UNKNOWN:
                dimension.Clear()
                changed = True
    return changed


def _part_twins(graph: GraphProto) -> bool:
    """Take away the names of operators that another has: ONNX Runtime reads no such file."""
    seen: set[str] = set()
    changed = False
    for node in graph.node:
        if node.name and node.name in seen:
            node.name = ""
            changed = True
        seen.add(node.name)
    return changed


def _shape_outputs(model: ModelProto) -> bool:
    """Declare outputs without a shape as the graph says, where it does."""
    bare = [value for value in model.graph.output if _is_shapeless(value)]
    if not bare:
        return False
    found = {}
    # What no shapes can be had of is for the checks to name.
    with suppress(Exception):
        graph = onnx.shape_inference.infer_shapes(light_copy(model), data_prop=True).graph
        found = {value.name: value for value in graph.output}
    known = [value for value in bare if not _is_shapeless(found.get(value.name, value))]
    for value in known:
        value.CopyFrom(found[value.name])
    return bool(known)


def _is_shapeless(value: ValueInfoProto) -> bool:
    return value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape")
