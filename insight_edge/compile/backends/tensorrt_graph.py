# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph as TensorRT's parser takes it; runs where TensorRT is installed.

The parser wants axes as constants that the graph carries, also where they follow
from sizes that are known, and multiplies a stack of matrices with a vector but
not a vector with a stack. The answers stay the same; precision is not chosen here.
"""

from onnx import ModelProto, NodeProto, helper

from insight_edge.compile.backends.plain_graph import Types, fold, tensor_types

QUANTISED = frozenset({"DequantizeLinear", "QuantizeLinear"})
"""Weights of 8 bits stay such: what they stand for is no constant to be worked out."""


def readable(model: ModelProto) -> ModelProto:
    """Return a model that was checked as the parser takes it; it is changed itself."""
    fold(model, kept=QUANTISED)
    types = tensor_types(model)
    nodes = [part for node in model.graph.node for part in _plain(node, types)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _plain(node: NodeProto, types: Types) -> list[NodeProto]:
    if node.op_type != "MatMul" or node.domain not in {"", "ai.onnx"}:
        return [node]
    left, right = (_rank(name, types) for name in node.input)
    return _turned(node, right) if left == 1 and right > 2 else [node]


def _turned(node: NodeProto, rank: int) -> list[NodeProto]:
    """Return a vector's product with matrices as that of the matrices, turned, with the vector."""
    vector, matrices = node.input
    turned = f"{node.output[0]}/turned"
    axes = [*range(rank - 2), rank - 1, rank - 2]
    return [
        helper.make_node("Transpose", [matrices], [turned], perm=axes),
        helper.make_node("MatMul", [turned, vector], list(node.output), name=node.name),
    ]


def _rank(name: str, types: Types) -> int:
    """Return the number of dimensions of a tensor, 0 where it is not known."""
    tensor = types.get(name)
    return len(tensor.shape.dim) if tensor is not None else 0
