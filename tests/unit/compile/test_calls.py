# SPDX-License-Identifier: Apache-2.0
"""A model made to take a call a row answers to each as the model itself does to the call."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

from insight_edge.compile.graph.calls import batches, called
from insight_edge.compile.graph.check import check_model
from insight_edge.compile.graph.reference import answers
from tests.fakes.onnx_models import Shape, graph_of, model_of, value
from tests.fakes.stateful_models import listening_model

SHAPES = st.lists(st.lists(st.integers(1, 3), max_size=4).map(tuple), min_size=1, max_size=3)
OPS = ("Neg", "ReduceSum", "Transpose", "Shape", "If")


def node_of(op: str, taken: str, given: str) -> NodeProto:
    if op != "If":
        keep = {"keepdims": 0} if op == "ReduceSum" else {}
        return helper.make_node(op, [taken], [given], name=given, **keep)
    # Both inner graphs read from outside.
    yes = graph_of([helper.make_node("Exp", [taken], ["yes"])], [], [value("yes", None)])
    no = graph_of([helper.make_node("Relu", [taken], ["no"])], [], [value("no", None)])
    return helper.make_node("If", ["always"], [given], name=given, then_branch=yes, else_branch=no)


def mixed_model(shapes: Sequence[tuple[int, ...]], ops: Sequence[str], opset: int) -> ModelProto:
    """An operator on each input, and one number made of all of them."""
    nodes, outputs = [], []
    for index, (shape, op) in enumerate(zip(shapes, ops, strict=False), start=1):
        nodes.append(node_of(op, f"x{index}", f"y{index}"))
        nodes.append(node_of("ReduceSum", f"x{index}", f"sum{index}"))
        made = {"ReduceSum": (), "Shape": (len(shape),), "Transpose": shape[::-1]}
        kind = TensorProto.INT64 if op == "Shape" else TensorProto.FLOAT
        outputs.append(value(f"y{index}", made.get(op, shape), kind))
    nodes.append(helper.make_node("Sum", [f"sum{i + 1}" for i in range(len(shapes))], ["total"]))
    inputs = [value(f"x{i}", shape) for i, shape in enumerate(shapes, start=1)]
    weights = {"always": np.array(True)}
    return model_of(nodes, inputs, [*outputs, value("total", ())], weights, opset=opset)


def asked(
    model: ModelProto, inputs: Mapping[str, NDArray[np.generic]]
) -> list[NDArray[np.generic]]:
    return [np.asarray(x) for x in answers(model.SerializeToString(), inputs).values()]


def refuse_difference(model: ModelProto, inputs: Mapping[str, NDArray[np.generic]]) -> None:
    made = called(model)
    check_model(made)
    for face, own in (("input", made.graph.input), ("output", made.graph.output)):
        assert [one.name for one in own] == [one.name for one in getattr(model.graph, face)]
    found = asked(made, {name: array[None] for name, array in inputs.items()})
    for one, wanted in zip(found, asked(model, inputs), strict=True):
        assert one.dtype == wanted.dtype
        np.testing.assert_array_equal(one, wanted[None])


@settings(max_examples=60, deadline=None)
@given(
    SHAPES, st.lists(st.sampled_from(OPS), min_size=3, max_size=3), st.sampled_from([11, 13, 18])
)
def test_a_call_is_answered_as_a_row(
    shapes: list[tuple[int, ...]], ops: list[str], opset: int
) -> None:
    model = mixed_model(shapes, ops, opset)
    before = model.SerializeToString(deterministic=True)
    random = np.random.default_rng(0)
    named = enumerate(shapes, start=1)
    inputs = {f"x{i}": np.asarray(random.normal(size=s), np.float32) for i, s in named}
    refuse_difference(model, inputs)
    assert model.SerializeToString(deterministic=True) == before


def test_output_may_be_an_input_or_a_weight() -> None:
    model = model_of(
        [helper.make_node("Identity", ["x"], ["y"])],
        [value("x", (2,)), value("z", ())],
        [value("x", (2,)), value("w", (3,)), value("y", (2,))],
        {"w": np.arange(3, dtype=np.float32)},
    )
    x = np.array([1, 2], np.float32)
    refuse_difference(model, {"x": x, "z": np.array(1, np.float32)})


def test_names_that_are_taken_are_not_taken_twice() -> None:
    model = model_of(
        [helper.make_node("Neg", ["x"], ["x/call"]), helper.make_node("Exp", ["x/call"], ["y"])],
        [value("x", ())],
        [value("y", ())],
    )
    refuse_difference(model, {"x": np.array(2, np.float32)})


def test_model_of_classical_operators_alone_gets_standard_ones() -> None:
    scaled = helper.make_node(
        "Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[1.0], scale=[2.0]
    )
    graph = graph_of([scaled], [value("x", (3,)), value("z", ())], [value("y", (3,))])
    classical = [helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=classical, ir_version=8)
    x = np.array([1, 2, 4], np.float32)
    refuse_difference(model, {"x": x, "z": np.array(1, np.float32)})


def shapes_of(model: ModelProto) -> list[list[int | str]]:
    faces = (*model.graph.input, *model.graph.output)
    tensors = [one.type.tensor_type for one in faces]
    return [[d.dim_param or d.dim_value for d in tensor.shape.dim] for tensor in tensors]


def test_batch_is_one_in_each_call() -> None:
    made = called(listening_model())
    assert shapes_of(made) == [[1, 1, 64], [1, 2, 1, 16], [1], [1, 1, 1], [1, 2, 1, 16]]


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ([("n", 64), (2, "n", 16), ()], {"n"}),
        ([("n", 64), ()], {"n"}),
        ([("n", 64), ("n",), ()], {"n"}),
        ([("steps", 64), (1, 1, 16)], set()),
        ([("samples",), (2, 1, 16)], set()),
        ([("samples",), ()], set()),
        ([("n", "n"), (1, 4)], set()),
        ([(4, "n"), ()], set()),
    ],
)
def test_batch_is_what_every_input_has(inputs: list[Shape], found: set[str]) -> None:
    faces = [value(f"x{index}", shape) for index, shape in enumerate(inputs)]
    assert batches(graph_of([], faces, [])) == found
