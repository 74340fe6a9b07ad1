# SPDX-License-Identifier: Apache-2.0
"""Small networks of many shapes, drawn by a seed, to predict the latency of.

Untrained: weights that mean nothing cost what trained ones cost. Convolutional,
separable, dense, attentive and recurrent ones, each from tens of microseconds to
milliseconds of a small core. Written with `onnx.helper` alone.
"""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class Graph:
    """Nodes and weights of a network while it is drawn."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 (a shape, not a secret)
        self._numbers = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def weight(self, *shape: int) -> str:
        """Add a weight with drawn values, and return its name."""
        name = f"w{len(self._weights)}"
        values = self._numbers.standard_normal(shape, np.float32) / max(shape[-1], 1) ** 0.5
        self._weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def integers(self, *values: int) -> str:
        """Add a weight of integers, and return its name."""
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator, and return the name of what it gives."""
        name = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def model(self, shape: tuple[int, ...], last: str) -> bytes:
        """Return all as ONNX, with an input `x` of a shape and an output `y`."""
        self._nodes.append(helper.make_node("Identity", [last], ["y"], name="y"))
        graph = helper.make_graph(
            self._nodes,
            "drawn",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            self._weights,
        )
        opset = [helper.make_opsetid("", OPSET)]
        made = helper.make_model(graph, opset_imports=opset, ir_version=9)
        data: bytes = onnx.shape_inference.infer_shapes(made).SerializeToString()
        return data


def _convolved(net: Graph, x: str, origin: int, to: int, *, kernel: int, **more: int) -> str:
    groups, stride = more.get("groups", 1), more.get("stride", 1)
    pads = [kernel // 2] * 4
    weight, bias = net.weight(to, origin // groups, kernel, kernel), net.weight(to)
    made = net.add("Conv", x, weight, bias, pads=pads, group=groups, strides=[stride] * 2)
    return net.add("Relu", made)


def _headed(net: Graph, x: str, channels: int) -> str:
    pooled = net.add("Flatten", net.add("GlobalAveragePool", x), axis=1)
    return net.add("Gemm", pooled, net.weight(channels, 10), net.weight(10))


def _convolutional(net: Graph) -> bytes:
    side, width = net.random.choice([12, 16, 24, 32]), net.random.choice([16, 32, 48, 64])
    depth, kernel = net.random.randint(3, 9), net.random.choice([3, 3, 5])
    x = _convolved(net, "x", 3, width, kernel=3)
    for index in range(depth):
        stride = 2 if index in {1, 4} else 1
        x = _convolved(net, x, width, width, kernel=kernel, stride=stride)
    return net.model((1, 3, side, side), _headed(net, x, width))


def _separable(net: Graph) -> bytes:
    side, width = net.random.choice([16, 24, 32]), net.random.choice([32, 48, 64, 96])
    x = _convolved(net, "x", 3, width, kernel=3, stride=2)
    for _ in range(net.random.randint(3, 8)):
        deep = _convolved(net, x, width, width, kernel=3, groups=width)
        x = net.add("Add", _convolved(net, deep, width, width, kernel=1), x)
    return net.model((1, 3, side, side), _headed(net, x, width))


def _dense(net: Graph) -> bytes:
    width = net.random.choice([256, 384, 512, 768, 1024])
    rows = net.random.choice([1, 1, 8, 16])
    x, origin = "x", net.random.choice([64, 256, 512])
    first = origin
    for _ in range(net.random.randint(3, 7)):
        x = net.add("Relu", net.add("Gemm", x, net.weight(origin, width), net.weight(width)))
        origin = width
    return net.model((rows, first), net.add("Gemm", x, net.weight(width, 10), net.weight(10)))


def _normalised(net: Graph, x: str, width: int) -> str:
    return net.add("LayerNormalization", x, net.weight(width), net.weight(width), axis=-1)


def _projected(net: Graph, x: str, origin: int, to: int) -> str:
    return net.add("Add", net.add("MatMul", x, net.weight(origin, to)), net.weight(to))


def _attentive(net: Graph) -> bytes:
    length, width = net.random.choice([16, 32, 64, 96]), net.random.choice([64, 96, 128, 192])
    heads, x = net.random.choice([2, 4]), "x"
    split = net.integers(1, length, heads, width // heads)
    for _ in range(net.random.randint(1, 4)):
        normal = _normalised(net, x, width)
        parts = [net.add("Reshape", _projected(net, normal, width, width), split) for _ in range(3)]
        query, value = (net.add("Transpose", parts[i], perm=[0, 2, 1, 3]) for i in (0, 2))
        key = net.add("Transpose", parts[1], perm=[0, 2, 3, 1])
        weighed = net.add("Softmax", net.add("MatMul", query, key), axis=-1)
        mixed = net.add("Transpose", net.add("MatMul", weighed, value), perm=[0, 2, 1, 3])
        joined = net.add("Reshape", mixed, net.integers(1, length, width))
        x = net.add("Add", x, _projected(net, joined, width, width))
        hidden = net.add("Relu", _projected(net, _normalised(net, x, width), width, 2 * width))
        x = net.add("Add", x, _projected(net, hidden, 2 * width, width))
    return net.model((1, length, width), x)


def _recurrent(net: Graph) -> bytes:
    steps, width = net.random.choice([8, 16, 24, 32]), net.random.choice([64, 96, 128, 192])
    op, gates = net.random.choice([("LSTM", 4), ("GRU", 3)])
    told = {"linear_before_reset": 1} if op == "GRU" else {}  # as PyTorch computes it
    x, origin = "x", 32
    for _ in range(net.random.randint(1, 2)):
        weights = (net.weight(1, gates * width, origin), net.weight(1, gates * width, width))
        made = net.add(op, x, *weights, hidden_size=width, **told)
        x, origin = net.add("Squeeze", made, net.integers(1)), width
    return net.model((steps, 1, 32), _projected(net, x, width, 10))


KINDS: dict[str, tuple[Callable[[Graph], bytes], int]] = {
    "convolutional": (_convolutional, 10),
    "separable": (_separable, 7),
    "dense": (_dense, 9),
    "attentive": (_attentive, 9),
    "recurrent": (_recurrent, 5),
}
"""How each kind is drawn, and how many of it there are."""


def networks(seed: int) -> dict[str, bytes]:
    """Return the ONNX files of a seed by name, input `x`; the same seed draws the same ones."""
    return {
        f"{kind}-{index}": draw(Graph(1000 * seed + 100 * place + index))
        for place, (kind, (draw, count)) in enumerate(KINDS.items())
        for index in range(count)
    }
