# SPDX-License-Identifier: Apache-2.0
"""Classical operators of a conversion in the words of standard ones, where these say the same.

A scaler in front of a network, or the names of its classes behind it, is all that keeps
most pipelines from every engine but ONNX Runtime. Whether the words fit is for the
comparison with scikit-learn to say.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto
from onnx.helper import get_attribute_value, make_node
from onnx.numpy_helper import from_array, to_array


def plain(model: ModelProto) -> ModelProto:
    """Return the model with standard operators where they say the same.

    Args:
        model: it stays as it is; features are float32.
    """
    changed = ModelProto()
    changed.CopyFrom(model)
    nodes = [new for node in model.graph.node for new in _in_words(changed.graph, node)]
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    return changed


def _in_words(graph: GraphProto, node: NodeProto) -> Iterator[NodeProto]:
    if node.op_type == "Scaler":
        yield from _scaled(graph, node)
    elif node.op_type == "ArrayFeatureExtractor":
        yield from _chosen(graph, node)
    elif node.op_type == "LinearRegressor":
        yield from _multiplied(graph, node)
    else:
        yield node


def _scaled(graph: GraphProto, node: NodeProto) -> Iterator[NodeProto]:
    """Yield (x - offset) * scale, as it is defined."""
    given = _attributes(node)
    offset = _carried(graph, f"{node.name}_offset", given["offset"], np.float32)
    scale = _carried(graph, f"{node.name}_scale", given["scale"], np.float32)
    shifted = f"{node.output[0]}_shifted"
    yield make_node("Sub", [node.input[0], offset], [shifted], name=f"{node.name}_sub")
    yield make_node("Mul", [shifted, scale], [*node.output], name=f"{node.name}_mul")


def _multiplied(graph: GraphProto, node: NodeProto) -> Iterator[NodeProto]:
    """Yield x @ coefficients + intercepts, as it is defined where nothing follows."""
    given = _attributes(node)
    if given.get("post_transform", b"NONE") != b"NONE" or "intercepts" not in given:
        yield node
        return
    weights = np.asarray(given["coefficients"], np.float32).reshape(given.get("targets", 1), -1)
    graph.initializer.append(from_array(np.ascontiguousarray(weights.T), f"{node.name}_weights"))
    bias = _carried(graph, f"{node.name}_bias", given["intercepts"], np.float32)
    product = f"{node.output[0]}_product"
    inputs = [node.input[0], f"{node.name}_weights"]
    yield make_node("MatMul", inputs, [product], name=f"{node.name}_matmul")
    yield make_node("Add", [product, bias], [*node.output], name=f"{node.name}_add")


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {each.name: get_attribute_value(each) for each in node.attribute}


def _chosen(graph: GraphProto, node: NodeProto) -> Iterator[NodeProto]:
    """Yield what takes columns of features by place, or names of classes that are reshaped."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    table, places = node.input
    readers = [other for other in graph.node if node.output[0] in other.input]
    if places in weights:
        columns = _carried(graph, f"{node.name}_columns", to_array(weights[places]), np.int64)
        yield make_node("Gather", [table, columns], [*node.output], name=node.name, axis=1)
    elif table in weights and {other.op_type for other in readers} == {"Reshape"}:
        names = to_array(weights[table])
        classes = _carried(graph, f"{node.name}_classes", names, names.dtype)
        yield make_node("Gather", [classes, places], [*node.output], name=node.name, axis=0)
    else:
        yield node


def _carried(graph: GraphProto, name: str, values: Any, dtype: Any) -> str:
    """Add values in one dimension as a weight; return its name."""
    graph.initializer.append(from_array(np.asarray(values).astype(dtype).reshape(-1), name))
    return name
