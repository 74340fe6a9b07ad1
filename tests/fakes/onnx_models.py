# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models made by hand, whose figures can be worked out on paper."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

FLOAT = TensorProto.FLOAT

Weights = Mapping[str, NDArray[np.generic]]
Shape = Sequence[int | str] | None


def value(name: str, shape: Shape, kind: int = FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def graph_of(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    weights: Weights | None = None,
) -> GraphProto:
    carried = [numpy_helper.from_array(a, name) for name, a in (weights or {}).items()]
    return helper.make_graph(list(nodes), "g", list(inputs), list(outputs), carried)


def model_of(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    weights: Weights | None = None,
    *,
    opset: int = 18,
) -> ModelProto:
    return helper.make_model(
        graph_of(nodes, inputs, outputs, weights),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )


def relu_model(shape: Shape = ("batch", 4)) -> ModelProto:
    return model_of([helper.make_node("Relu", ["x"], ["y"])], [value("x", shape)],
                    [value("y", shape)])  # fmt: skip


def weights_of(seed: int, **shapes: Sequence[int]) -> dict[str, NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    return {
        name: (generator.normal(size=tuple(shape)) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        for name, shape in shapes.items()
    }


def conv_model() -> ModelProto:
    """Two convolutions and a dense layer on (batch, 3, 16, 16)."""
    return model_of(
        [
            helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c1"], ["r1"]),
            helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Conv", ["p1", "w2"], ["c2"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c2"], ["r2"]),
            helper.make_node("GlobalAveragePool", ["r2"], ["g2"]),
            helper.make_node("Flatten", ["g2"], ["f2"]),
            helper.make_node("Gemm", ["f2", "w3", "b3"], ["logits"], transB=1),
        ],
        [value("x", ("batch", 3, 16, 16))],
        [value("logits", ("batch", 10))],
        weights_of(0, w1=(16, 3, 3, 3), b1=(16,), w2=(32, 16, 3, 3), w3=(10, 32), b3=(10,)),
    )


def words_model(tokens: int = 600, length: int = 16) -> ModelProto:
    """Return a model of text: the embeddings of a row's tokens, added up, to two classes."""
    shape, kind = ("batch", length), TensorProto.INT64
    weights: dict[str, NDArray[np.generic]] = {
        **weights_of(5, e=(tokens, 8), w=(8, 2)), "last": np.array([2]), "middle": np.array([1])
    }  # fmt: skip
    nodes = [
        helper.make_node("Gather", ["e", "ids"], ["embedded"]),
        helper.make_node("Cast", ["mask"], ["share"], to=FLOAT),
        helper.make_node("Unsqueeze", ["share", "last"], ["shares"]),
        helper.make_node("Mul", ["embedded", "shares"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "middle"], ["added"], keepdims=0),
        helper.make_node("MatMul", ["added", "w"], ["logits"]),
    ]
    inputs = [value("ids", shape, kind), value("mask", shape, kind)]
    return model_of(nodes, inputs, [value("logits", ("batch", 2))], weights)


def recurrent_model(op: str) -> ModelProto:
    """One LSTM or GRU of 8 units over (steps 6, batch, 4)."""
    gates = {"LSTM": 4, "GRU": 3}[op]
    return model_of(
        [helper.make_node(op, ["x", "w", "r", "b"], ["y"], hidden_size=8)],
        [value("x", (6, "batch", 4))],
        [value("y", (6, 1, "batch", 8))],
        weights_of(1, w=(1, gates * 8, 4), r=(1, gates * 8, 8), b=(1, gates * 16)),
    )
