# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph as onnx2tf takes it; runs where onnx2tf is installed.

Of some operators it makes custom ones in their rarer forms, or wrong ones: these
are said in the usual form, which it lowers. The answers stay the same.
"""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from insight_edge.compile.backends.plain_graph import Rewrite, Types, fold, rewrite

SINCE = 13
"""Opset in which axes became inputs and Hardmax got its default."""

ONE_DIMENSION = 3
"""Rank of the weights of a convolution over one dimension."""

PAIRS = {"kernel_shape": 1, "strides": 1, "dilations": 1, "pads": 0}
"""Attributes of a convolution with what they are along a dimension of one element."""


def lowerable(model: ModelProto) -> None:
    """Change a model of known sizes into one that is lowered whole."""
    if max(one.version for one in model.opset_import if one.domain in {"", "ai.onnx"}) >= SINCE:
        _widen(model)
        rewrite(model, REWRITES)
    fold(model)


def _alone(node: NodeProto, types: Types) -> list[NodeProto] | None:  # noqa: ARG001 (a `Rewrite`)
    """Say that what is taken of one tensor alone is that tensor."""
    if len(node.input) > 1:
        return None
    return [helper.make_node("Identity", list(node.input), list(node.output))]


def _along_last(node: NodeProto, types: Types) -> list[NodeProto] | None:  # noqa: ARG001 (a `Rewrite`)
    """Write the axis down: the converter has the default of before opset 13."""
    if node.attribute:
        return None
    return [helper.make_node("Hardmax", list(node.input), list(node.output), axis=-1)]


def _of_sizes(node: NodeProto, types: Types) -> list[NodeProto] | None:
    """Write the sizes of parts down, of which the last may be smaller."""
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    dim = types[node.input[0]].shape.dim[axis]
    count = len(node.output)
    if len(node.input) > 1 or not dim.dim_value % count:
        return None
    size = -(-dim.dim_value // count)
    sizes = np.array([size] * (count - 1) + [dim.dim_value - size * (count - 1)], np.int64)
    name = f"{node.output[0]}.sizes"
    return [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(sizes)),
        helper.make_node("Split", [node.input[0], name], list(node.output), axis=axis),
    ]


REWRITES: dict[str, Rewrite] = {
    **dict.fromkeys(("Max", "Min", "Sum"), _alone),
    "Hardmax": _along_last,
    "Split": _of_sizes,
}


def _widen(model: ModelProto) -> None:
    """Say grouped convolutions over one dimension as such over two."""
    graph = model.graph
    carried = {tensor.name: tensor for tensor in graph.initializer}
    last = numpy_helper.from_array(np.array([ONE_DIMENSION], np.int64), "after the last axis")
    nodes = []
    for node in graph.node:
        weights = carried.get(node.input[1]) if node.op_type == "Conv" else None
        grouped = any(a.name == "group" and a.i > 1 for a in node.attribute)
        if weights is None or not grouped or len(weights.dims) != ONE_DIMENSION:
            nodes.append(node)
            continue
        graph.initializer.append(_of_two_dimensions(weights, f"{node.output[0]}.weights"))
        nodes += _over_two(node, graph.initializer[-1].name, last.name)
    if len(nodes) > len(graph.node):
        graph.initializer.append(last)
    del graph.node[:]
    graph.node.extend(nodes)


def _of_two_dimensions(weights: TensorProto, name: str) -> TensorProto:
    wide = TensorProto()
    wide.CopyFrom(weights)
    wide.name = name
    wide.dims.append(1)
    return wide


def _over_two(node: NodeProto, weights: str, axis: str) -> list[NodeProto]:
    answer = node.output[0]
    wide = NodeProto()
    wide.CopyFrom(node)
    wide.input[:2], wide.output[0] = [f"{answer}.wide", weights], f"{answer}.made"
    for attribute in wide.attribute:
        if attribute.name in PAIRS:
            beside = PAIRS[attribute.name]
            attribute.ints[:] = [one for size in attribute.ints for one in (size, beside)]
    return [
        helper.make_node("Unsqueeze", [node.input[0], axis], [f"{answer}.wide"]),
        wide,
        helper.make_node("Squeeze", [f"{answer}.made", axis], [answer]),
    ]
