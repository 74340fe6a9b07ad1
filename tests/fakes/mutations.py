# SPDX-License-Identifier: Apache-2.0
"""ONNX models with something wrong in their structure, drawn by hypothesis."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper

from tests.fakes.onnx_models import (
    conv_model,
    graph_of,
    model_of,
    recurrent_model,
    relu_model,
    value,
    weights_of,
)

NUMBERS = (0, -1, 1, 2, 3, 7, 2**31 - 1, 2**31, -(2**31), 2**62, 2**63 - 1, -(2**63))
TEXTS = (b"", b"\xff", b"linear", b"abc,->", b"ij")
OPS = ("Relu", "Conv", "If", "Loop", "Scan", "Constant", "Split", "Concat", "", "LSTM", "Reshape")
DOMAINS = ("ai.onnx", "ai.onnx.ml", "acme", "com.microsoft")
IMAGE = value("x", (1, 4, 8, 8))
KINDS = st.integers(0, 26)


def shaped() -> ModelProto:
    """Operators whose shapes come of attributes and constants."""
    node = helper.make_node
    nodes = [
        node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2),
        node("Resize", ["a", "", "scales"], ["c"], mode="linear"),
        node("DepthToSpace", ["b"], ["d"], blocksize=1),
        node("AveragePool", ["c"], ["e"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Concat", ["e", "d"], ["f"], axis=1),
        node("ConvTranspose", ["f", "w"], ["g"], strides=[2, 2], group=2),
        node("Reshape", ["g", "shape"], ["h"]),
        node("Slice", ["h", "from", "to", "axis"], ["i"]),
        node("TopK", ["i", "k"], ["y", "places"], axis=-1),
    ]
    weights: dict[str, NDArray[np.generic]] = {
        "scales": np.array([1, 1, 2, 2], np.float32),
        "shape": np.array([1, -1], np.int64),
        "from": np.array([0], np.int64),
        "to": np.array([9], np.int64),
        "axis": np.array([1], np.int64),
        "k": np.array([3], np.int64),
        **weights_of(0, w=(4, 3, 3, 3)),
    }
    return model_of(nodes, [IMAGE], [value("y", (1, 3))], weights)


def branching() -> ModelProto:
    """An `If` of which one branch holds a `Loop`."""
    node = helper.make_node
    body = graph_of(
        [node("Identity", ["go"], ["on"]), node("Add", ["v", "w"], ["u"])],
        [value("i", (), TensorProto.INT64), value("go", (), TensorProto.BOOL), value("v", (1, 4))],
        [value("on", (), TensorProto.BOOL), value("u", (1, 4))],
        weights_of(0, w=(1, 4)),
    )
    loop = node("Loop", ["n", "", "x"], ["t"], body=body)
    then = graph_of([loop], [], [value("t", (1, 4))], {"n": np.array(3, np.int64)})
    other = graph_of([node("Neg", ["x"], ["e"])], [], [value("e", (1, 4))])
    choose = node("If", ["c"], ["y"], then_branch=then, else_branch=other)
    inputs = [value("x", (1, 4)), value("c", (), TensorProto.BOOL)]
    return model_of([choose], inputs, [value("y", (1, 4))])


def calling() -> ModelProto:
    """A model of one function."""
    steps = [helper.make_node("Relu", ["a"], ["m"]), helper.make_node("Neg", ["m"], ["b"])]
    opsets = [helper.make_opsetid("", 18)]
    model = relu_model()
    model.functions.append(helper.make_function("own", "Twice", ["a"], ["b"], steps, opsets))
    model.graph.node[0].CopyFrom(helper.make_node("Twice", ["x"], ["y"], domain="own"))
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


SEEDS = (conv_model, shaped, branching, calling, lambda: recurrent_model("LSTM"))


@st.composite
def broken_models(draw: st.DrawFn) -> bytes:
    """A valid model after one to three changes of its structure, perhaps of its bytes too."""
    model = draw(st.sampled_from(SEEDS))()
    for _ in range(draw(st.integers(1, 3))):
        graph = draw(st.sampled_from(_graphs(model.graph)))
        change = draw(st.sampled_from(CHANGES))
        change(graph, draw)
    data = bytearray(model.SerializeToString())
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 3)))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


def _graphs(graph: GraphProto) -> list[GraphProto]:
    attributes = [
        a for node in graph.node for a in node.attribute if a.type == AttributeProto.GRAPH
    ]
    return [graph, *(inner for a in attributes for inner in _graphs(a.g))]


def _drop_node(graph: GraphProto, draw: st.DrawFn) -> None:
    if graph.node:
        del graph.node[draw(st.integers(0, len(graph.node) - 1))]


def _swap_nodes(graph: GraphProto, draw: st.DrawFn) -> None:
    nodes = draw(st.permutations(list(graph.node)))
    copies = [node.SerializeToString() for node in nodes]
    del graph.node[:]
    for copy in copies:
        graph.node.add().ParseFromString(copy)


def _rename_edge(graph: GraphProto, draw: st.DrawFn) -> None:
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    if names:
        node = draw(st.sampled_from(list(graph.node)))
        side = draw(st.sampled_from((node.input, node.output)))
        if side:
            name = draw(st.sampled_from([*names, "", "nowhere"]))
            side[draw(st.integers(0, len(side) - 1))] = name


def _change_type(graph: GraphProto, draw: st.DrawFn) -> None:
    if graph.initializer and draw(st.booleans()):
        draw(st.sampled_from(list(graph.initializer))).data_type = draw(KINDS)
    elif graph.input or graph.output:
        face = draw(st.sampled_from([*graph.input, *graph.output]))
        face.type.tensor_type.elem_type = draw(KINDS)


def _change_shape(graph: GraphProto, draw: st.DrawFn) -> None:
    faces = [*graph.input, *graph.output]
    if graph.initializer and draw(st.booleans()):
        tensor = draw(st.sampled_from(list(graph.initializer)))
        if tensor.dims:
            tensor.dims[draw(st.integers(0, len(tensor.dims) - 1))] = draw(st.sampled_from(NUMBERS))
    elif faces:
        dimensions = draw(st.sampled_from(faces)).type.tensor_type.shape.dim
        if dimensions and draw(st.booleans()):
            draw(st.sampled_from(list(dimensions))).dim_value = draw(st.sampled_from(NUMBERS))
        else:
            dimensions.add().dim_param = draw(st.sampled_from(("", "n")))


def _change_constant(graph: GraphProto, draw: st.DrawFn) -> None:
    integers = [t for t in graph.initializer if t.data_type == TensorProto.INT64]
    if integers:
        tensor = draw(st.sampled_from(integers))
        count = len(tensor.raw_data) // 8
        numbers = [draw(st.sampled_from(NUMBERS)) for _ in range(count)]
        tensor.raw_data = np.array(numbers, np.int64).tobytes()


def _change_attribute(graph: GraphProto, draw: st.DrawFn) -> None:
    attributes = [a for node in graph.node for a in node.attribute]
    if not attributes:
        return
    attribute = draw(st.sampled_from(attributes))
    if attribute.type == AttributeProto.INT:
        attribute.i = draw(st.sampled_from(NUMBERS))
    elif attribute.type == AttributeProto.INTS:
        attribute.ints[:] = draw(st.lists(st.sampled_from(NUMBERS), max_size=4))
    elif attribute.type == AttributeProto.STRING:
        attribute.s = draw(st.sampled_from(TEXTS))
    else:
        attribute.type = draw(st.integers(1, 14))


def _drop_attribute(graph: GraphProto, draw: st.DrawFn) -> None:
    nodes = [node for node in graph.node if node.attribute]
    if nodes:
        node = draw(st.sampled_from(nodes))
        del node.attribute[draw(st.integers(0, len(node.attribute) - 1))]


def _change_operator(graph: GraphProto, draw: st.DrawFn) -> None:
    if graph.node:
        node = draw(st.sampled_from(list(graph.node)))
        if draw(st.booleans()):
            node.op_type = draw(st.sampled_from(OPS))
        else:
            node.domain = draw(st.sampled_from(DOMAINS))


def _drop_input(graph: GraphProto, draw: st.DrawFn) -> None:
    nodes = [node for node in graph.node if node.input]
    if nodes:
        node = draw(st.sampled_from(nodes))
        del node.input[draw(st.integers(0, len(node.input) - 1))]


CHANGES = (
    _drop_node,
    _swap_nodes,
    _rename_edge,
    _change_type,
    _change_shape,
    _change_constant,
    _change_attribute,
    _drop_attribute,
    _change_operator,
    _drop_input,
)
