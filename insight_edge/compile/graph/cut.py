# SPDX-License-Identifier: Apache-2.0
"""A source model cut after one of its operators: a model of all that is computed by then.

What a cut ends in are the tensors that the rest of the model still needs, of every
path: a fault in any operator before it has reached one of them, unless it was evened
out. So whether a cut diverges can be asked of few cuts. Nothing is built here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, helper

from insight_edge.compile.graph.light import light_copy
from insight_edge.compile.graph.parts import subgraphs

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A place between two operators.

    Attributes:
        place: of the operator before it, counted from 0.
        tensors: that are needed beyond it, or that the model answers; in order.
    """

    place: int
    tensors: tuple[str, ...]


def cuts_of(model: ModelProto, values: Arrays) -> tuple[Cut, ...]:
    """Return a cut after every operator that makes a tensor of numbers, the whole model last.

    Args:
        model: to be cut.
        values: its floating-point tensors; no others are compared.
    """
    live = _depending(model.graph) & values.keys()
    last = _last_readers(model.graph)
    alive: list[str] = []
    found: list[Cut] = []
    for place, node in enumerate(model.graph.node):
        made = [name for name in node.output if name in live and last.get(name, -1) > place]
        alive = [name for name in alive if last[name] > place] + made
        if made:
            found.append(Cut(place=place, tensors=tuple(alive)))
    whole = tuple(value.name for value in model.graph.output if value.name in live)
    kept = [cut for cut in found if cut.tensors != whole]
    return (*kept, *([Cut(place=len(model.graph.node) - 1, tensors=whole)] if whole else []))


def inputs_of(model: ModelProto, values: Arrays) -> dict[str, tuple[str, ...]]:
    """Return by tensor those that its operator takes, as far as they can be compared."""
    live = _depending(model.graph) & values.keys()
    return {
        name: tuple(dict.fromkeys(taken for taken in _read(node) if taken in live))
        for node in model.graph.node
        for name in node.output
        if name in live
    }


def cut_model(model: ModelProto, tensors: Sequence[str], values: Arrays) -> ModelProto:
    """Return the part of a model that computes these tensors, which are its outputs.

    Args:
        model: that has them.
        tensors: of floating point, that operators of its graph make.
        values: of these tensors, on some rows; their types and ranks are taken from here.
    """
    nodes, used = _needed(model.graph, tensors)
    cut = ModelProto()
    cut.CopyFrom(model)
    graph = cut.graph
    known = _declared(model)
    for field in ("node", "output", "value_info", "initializer", "sparse_initializer", "input"):
        graph.ClearField(field)
    graph.node.extend(nodes)
    graph.input.extend(one for one in model.graph.input if one.name in used)
    graph.initializer.extend(one for one in model.graph.initializer if one.name in used)
    sparse = (s for s in model.graph.sparse_initializer if s.values.name in used)
    graph.sparse_initializer.extend(sparse)
    graph.output.extend(known.get(name) or _value(name, values[name]) for name in tensors)
    return cut


def pinned(model: ModelProto, fed: Arrays) -> ModelProto:
    """Return a model that takes as many rows as it is fed, and no others.

    Args:
        model: whose inputs may have open dimensions.
        fed: arrays of its inputs.
    """
    fixed = ModelProto()
    fixed.CopyFrom(model)
    graph = fixed.graph
    graph.ClearField("value_info")
    for taken in graph.input:
        if taken.name in fed:
            dims = taken.type.tensor_type.shape.dim
            for dim, size in zip(dims, fed[taken.name].shape, strict=True):
                dim.dim_value = size
    for given in graph.output:
        given.type.tensor_type.ClearField("shape")
    return fixed


def _needed(graph: GraphProto, tensors: Sequence[str]) -> tuple[list[NodeProto], set[str]]:
    """Return the operators that tensors depend on, in order, and all that these read."""
    used, nodes = set(tensors), list[NodeProto]()
    for node in reversed(graph.node):
        if used.intersection(node.output):
            nodes.append(node)
            used.update(_read(node))
    return nodes[::-1], used


def _depending(graph: GraphProto) -> set[str]:
    """Return the tensors that depend on an input of the model."""
    carried = {tensor.name for tensor in graph.initializer}
    found = {value.name for value in graph.input} - carried
    for node in graph.node:
        if found.intersection(_read(node)):
            found.update(filter(None, node.output))
    return found - {value.name for value in graph.input}


def _last_readers(graph: GraphProto) -> dict[str, int]:
    """Return by tensor the place of the last operator that reads it; of outputs, the end."""
    last = {name: place for place, node in enumerate(graph.node) for name in _read(node)}
    return last | {value.name: len(graph.node) for value in graph.output}


def _read(node: NodeProto) -> Iterator[str]:
    """Yield what an operator reads, and what the graphs inside it do of those around them."""
    yield from filter(None, node.input)
    for graph in subgraphs(node):
        yield from (value.name for value in graph.output)
        for inner in graph.node:
            yield from _read(inner)


def _declared(model: ModelProto) -> dict[str, ValueInfoProto]:
    """Return the tensors whose type and shape can be inferred."""
    try:
        graph = onnx.shape_inference.infer_shapes(light_copy(model), data_prop=True).graph
    except Exception:  # noqa: BLE001 (then their ranks are known from their values)
        graph = model.graph
    values = (*graph.value_info, *graph.output)
    return {one.name: one for one in values if one.type.tensor_type.HasField("shape")}


def _value(name: str, found: NDArray[Any]) -> ValueInfoProto:
    sizes = [f"{name}.{axis}" for axis in range(np.ndim(found))]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(found.dtype), sizes)
