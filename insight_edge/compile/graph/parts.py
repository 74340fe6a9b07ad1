# SPDX-License-Identifier: Apache-2.0
"""The parts of an ONNX model: its bodies, and the graphs inside their operators."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

Body: TypeAlias = GraphProto | FunctionProto
Versions: TypeAlias = Mapping[str, int]


def called_names(node: NodeProto) -> tuple[str, str]:
    """Return (domain, operator) with the standard domain written as the empty string."""
    return "" if node.domain == "ai.onnx" else node.domain, node.op_type


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the graphs that a control-flow operator holds."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def bodies(model: ModelProto) -> Iterator[tuple[Body, Versions]]:
    """Yield the graph, all functions and all subgraphs inside either, with versions by domain."""
    waiting: list[tuple[Body, Versions]] = [
        (body, {"" if o.domain == "ai.onnx" else o.domain: o.version for o in owner.opset_import})
        for body, owner in ((model.graph, model), *((f, f) for f in model.functions))
    ]
    while waiting:
        body, versions = waiting.pop()
        yield body, versions
        waiting += [(graph, versions) for node in body.node for graph in subgraphs(node)]
