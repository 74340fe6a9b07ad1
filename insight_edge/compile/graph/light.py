# SPDX-License-Identifier: Apache-2.0
"""A model without the bytes of its large weights: what checkers and shape inference need of it.

They copy what they are given several times over, which a model of two gigabytes
cannot afford. A large weight becomes an input of the same type and shape; small
ones stay, because shapes are computed from them.
"""

import math

from onnx import GraphProto, ModelProto
from onnx.helper import make_tensor_value_info

LARGE_ELEMENTS = 1024
"""No tensor that shapes are computed from has as many."""


def light_copy(model: ModelProto) -> ModelProto:
    """Return a model of the same graph and functions, large weights of the graph as inputs."""
    light = ModelProto(
        ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions
    )
    graph = light.graph
    graph.name = model.graph.name
    for name in ("node", "input", "output", "value_info", "sparse_initializer"):
        getattr(graph, name).MergeFrom(getattr(model.graph, name))
    _add_weights(model.graph, graph)
    return light


def _add_weights(source: GraphProto, graph: GraphProto) -> None:
    listed = {value.name for value in source.input}
    for tensor in source.initializer:
        if math.prod(tensor.dims) < LARGE_ELEMENTS:
            graph.initializer.append(tensor)
        elif tensor.name not in listed:
            graph.input.append(
                make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
