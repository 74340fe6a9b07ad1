# SPDX-License-Identifier: Apache-2.0
"""Other names for tensors of an ONNX graph, in it and in the graphs inside its operators.

What callers pass and receive keeps its name: it is for whoever renames to join it anew.
"""

from collections.abc import Iterable, Mapping

from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

from insight_edge.compile.graph.parts import bodies, subgraphs
from insight_edge.compile.graph.shapes import input_values


def rename(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Give tensors other names, but for those that callers pass and receive.

    Tensors inside operators that are called the same are renamed with them, so that what hides
    what stays as it is.

    Args:
        graph: of a model; changed in place.
        names: new ones, which nothing in the graph has, by old one.
    """
    passed = {value.name for value in input_values(graph)}
    _rename_values([value for value in graph.input if value.name not in passed], names)
    _rename_inside(graph, names)


def names_of(model: ModelProto) -> set[str]:
    """Return every name of a tensor or an operator, in the graph and those inside it."""
    graphs = [body for body, _ in bodies(model) if isinstance(body, GraphProto)]
    found = {value.name for graph in graphs for value in (*graph.input, *_weights(graph))}
    nodes = [node for graph in graphs for node in graph.node]
    return found.union(*((node.name, *node.output) for node in nodes))


def _rename_inside(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Give tensors other names, but for those that go into and come out of a graph."""
    _rename_values((*_weights(graph), *graph.value_info), names)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for inner in subgraphs(node):
            _rename_values((*inner.input, *inner.output), names)
            _rename_inside(inner, names)


def _rename_values(
    values: Iterable[ValueInfoProto | TensorProto], names: Mapping[str, str]
) -> None:
    for value in values:
        value.name = names.get(value.name, value.name)


def _weights(graph: GraphProto) -> tuple[TensorProto, ...]:
    return (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer))
