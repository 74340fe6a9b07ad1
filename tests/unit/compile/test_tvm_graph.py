# SPDX-License-Identifier: Apache-2.0
"""What TVM is given answers as the model does, in operators that its frontend knows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from insight_edge.compile.backends.tvm_graph import readable
from insight_edge.compile.backends.tvm_operators import DECOMPOSED, KNOWN
from tests.fakes.onnx_models import Shape, model_of, value

Array = NDArray[Any]
ODD = np.array([-np.inf, -1.5, -0.0, 0.0, 2.0, np.inf, np.nan, 3.0], np.float32)


def model(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Array],
    outputs: Mapping[str, int],
    shapes: Mapping[str, Shape] | None = None,
    opset: int = 23,
) -> ModelProto:
    taken = [
        value(name, (shapes or {}).get(name, a.shape), helper.np_dtype_to_tensor_dtype(a.dtype))
        for name, a in inputs.items()
    ]
    made = model_of(nodes, taken, [value(name, None, kind) for name, kind in outputs.items()])
    del made.opset_import[:]
    made.opset_import.append(helper.make_opsetid("", opset))
    made.ir_version = 10
    return onnx.shape_inference.infer_shapes(made)


def answers(asked: ModelProto, inputs: Mapping[str, Array]) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(asked.SerializeToString(), options)
    taken = {each.name for each in session.get_inputs()}
    return list(session.run(None, {n: a for n, a in inputs.items() if n in taken}))


def assert_read_as(asked: ModelProto, inputs: Mapping[str, Array]) -> ModelProto:
    """Check that TVM is given what answers the same, and return it."""
    given_away = ModelProto()
    given_away.CopyFrom(asked)
    plain = readable(given_away, one_row=False)
    onnx.checker.check_model(plain, full_check=True)
    assert {node.op_type for node in plain.graph.node} <= KNOWN
    for found, wanted in zip(answers(plain, inputs), answers(asked, inputs), strict=True):
        assert found.dtype == wanted.dtype
        close = 1e-5 if wanted.dtype.kind == "f" else 0.0
        np.testing.assert_allclose(found, wanted, rtol=close, atol=close)
    return plain


@pytest.mark.parametrize("negative", [0, 1])
@pytest.mark.parametrize("positive", [0, 1])
def test_infinities_of_one_sign_are_told_apart(negative: int, positive: int) -> None:
    node = helper.make_node(
        "IsInf", ["x"], ["y"], detect_negative=negative, detect_positive=positive
    )
    assert_read_as(model([node], {"x": ODD}, {"y": TensorProto.BOOL}), {"x": ODD})


@pytest.mark.parametrize("base", ["float32", "int64", "int32"])
@pytest.mark.parametrize("exponent", ["float32", "int64", "int32"])
def test_powers_are_of_the_type_of_their_base(base: str, exponent: str) -> None:
    inputs = {"x": np.array([1, 2, 12345], base), "n": np.array([0, 3, 2], exponent)}
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(base))
    node = helper.make_node("Pow", ["x", "n"], ["y"])
    assert_read_as(model([node], inputs, {"y": kind}), inputs)


def test_numbers_of_half_precision_are_added_up_in_float32() -> None:
    terms = np.array([[2048.0, *[0.5] * 8]], np.float16)
    inputs = {"x": terms, "w": np.ones((9, 1), np.float16)}
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    plain = assert_read_as(model([node], inputs, {"y": TensorProto.FLOAT16}), inputs)
    kinds = {each.name: each.type.tensor_type.elem_type for each in _inferred(plain)}
    (product,) = (each for each in plain.graph.node if each.op_type == "MatMul")
    assert {kinds[name] for name in (*product.input, *product.output)} == {TensorProto.FLOAT}


def _inferred(plain: ModelProto) -> list[onnx.ValueInfoProto]:
    graph = onnx.shape_inference.infer_shapes(plain).graph
    return [*graph.input, *graph.value_info, *graph.output]


def test_mask_of_a_dropout_is_of_booleans() -> None:
    node = helper.make_node("Dropout", ["x"], ["y", "mask"])
    outputs = {"y": TensorProto.FLOAT, "mask": TensorProto.BOOL}
    assert_read_as(model([node], {"x": ODD}, outputs), {"x": ODD})


def test_matrix_of_ones_is_of_the_type_asked_for() -> None:
    inputs = {"x": np.zeros((3, 4), np.int32)}
    node = helper.make_node("EyeLike", ["x"], ["y"], k=1, dtype=TensorProto.INT64)
    assert_read_as(model([node], inputs, {"y": TensorProto.INT64}), inputs)


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_normalisations_make_what_is_read_of_them(axis: int) -> None:
    generator = np.random.default_rng(0)
    inputs = {"x": generator.normal(size=(3, 4)).astype(np.float32)}
    inputs["w"] = np.ones(inputs["x"].shape[axis:], np.float32)
    layer = helper.make_node("LayerNormalization", ["x", "w"], ["y", "mean"], axis=axis)
    outputs = {"y": TensorProto.FLOAT, "mean": TensorProto.FLOAT}
    assert_read_as(model([layer], inputs, outputs), inputs)
    square = helper.make_node("RMSNormalization", ["x", "w"], ["y"], axis=axis)
    plain = assert_read_as(model([square], inputs, {"y": TensorProto.FLOAT}), inputs)
    left = "RMSNormalization" in {node.op_type for node in plain.graph.node}
    assert left is (axis in {1, -1})


def test_normalisation_beside_is_left_alone() -> None:
    inputs = {"x": np.ones((3, 4), np.float32), "w": np.ones(4, np.float32)}
    nodes = [
        helper.make_node("LayerNormalization", ["x", "w"], ["plain"]),
        helper.make_node("LayerNormalization", ["plain", "w"], ["y", "mean"]),
    ]
    outputs = {"y": TensorProto.FLOAT, "mean": TensorProto.FLOAT}
    plain = assert_read_as(model(nodes, inputs, outputs), inputs)
    assert [n.output[0] for n in plain.graph.node if n.op_type == "LayerNormalization"] == ["plain"]


def test_output_that_nobody_reads_is_not_asked_for() -> None:
    inputs = {"x": np.ones((1, 1, 4, 4), np.float32)}
    node = helper.make_node("MaxPool", ["x"], ["y", "places"], kernel_shape=[2, 2])
    plain = assert_read_as(model([node], inputs, {"y": TensorProto.FLOAT}), inputs)
    assert [list(each.output) for each in plain.graph.node] == [["y"]]


def test_operators_that_are_said_in_others_answer_the_same() -> None:
    rows = np.random.default_rng(0).normal(size=(2, 3, 4, 8)).astype(np.float32)
    inputs = {"q": rows, "k": rows[:, :, ::-1].copy(), "v": rows * 2}
    node = helper.make_node("Attention", ["q", "k", "v"], ["y"], is_causal=1)
    plain = assert_read_as(model([node], inputs, {"y": TensorProto.FLOAT}), inputs)
    assert "MatMul" in {each.op_type for each in plain.graph.node}


def test_defaults_of_attributes_reach_the_body() -> None:
    ten = numpy_helper.from_array(np.array(10, np.int64))
    nodes = [
        helper.make_node("Constant", [], ["n"], value=ten),
        helper.make_node("HannWindow", ["n"], ["window"]),
        helper.make_node("Mul", ["x", "window"], ["y"]),
    ]
    inputs = {"x": np.ones(10, np.float32)}
    plain = assert_read_as(model(nodes, inputs, {"y": TensorProto.FLOAT}), inputs)
    assert [each.op_type for each in plain.graph.node] == ["Mul"]


@pytest.mark.parametrize(("rows", "folded"), [(2, True), ("n", False)])
def test_sizes_are_constants_where_they_are_known(rows: int | str, folded: bool) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"]),
        helper.make_node("Size", ["x"], ["size"]),
        helper.make_node("Add", ["sizes", "size"], ["y"]),
    ]
    inputs = {"x": np.ones((2, 3), np.float32)}
    asked = model(nodes, inputs, {"y": TensorProto.INT64}, {"x": (rows, 3)})
    plain = assert_read_as(asked, inputs)
    assert (not plain.graph.node) is folded


def test_model_of_before_weights_were_left_out_of_the_inputs_is_folded() -> None:
    nodes = [helper.make_node("Shape", ["x"], ["sizes"]), helper.make_node("Neg", ["sizes"], ["y"])]
    asked = model(nodes, {"x": ODD}, {"y": TensorProto.INT64}, opset=11)
    asked.ir_version = 3
    plain = readable(asked, one_row=False)
    plain = readable(plain, one_row=False)
    assert not plain.graph.node


def test_sizes_that_follow_from_folded_sizes_are_constants_too() -> None:
    nodes = [
        helper.make_node("Constant", [], ["two"], value_ints=[2]),
        helper.make_node("Shape", ["x"], ["rows"], end=1),
        helper.make_node("Shape", ["x"], ["width"], start=1),
        helper.make_node("Div", ["width", "two"], ["half"]),
        helper.make_node("Concat", ["rows", "half", "two"], ["parted"], axis=0),
        helper.make_node("Reshape", ["x", "parted"], ["parts"]),
        helper.make_node("Shape", ["parts"], ["sizes"]),
        helper.make_node("Neg", ["sizes"], ["y"]),
    ]
    inputs = {"x": np.ones((3, 8), np.float32)}
    plain = assert_read_as(model(nodes, inputs, {"y": TensorProto.INT64}), inputs)
    assert not {"Shape", "Neg"} & {node.op_type for node in plain.graph.node}


@pytest.mark.parametrize(("start", "step", "summed"), [(0, 1, True), (1, 1, False), (0, 2, False)])
@pytest.mark.parametrize("length", [0, 1, 7])
def test_positions_of_an_open_size_are_sums_of_ones(
    start: int, step: int, summed: bool, length: int
) -> None:
    nodes = [
        helper.make_node("Constant", [], ["start"], value_int=start),
        helper.make_node("Constant", [], ["step"], value_int=step),
        helper.make_node("Size", ["x"], ["size"]),
        helper.make_node("Range", ["start", "size", "step"], ["y"]),
    ]
    inputs = {"x": np.ones(length, np.float32)}
    asked = model(nodes, inputs, {"y": TensorProto.INT64}, {"x": ("n",)})
    plain = assert_read_as(asked, inputs)
    assert ("Range" not in {node.op_type for node in plain.graph.node}) is summed


def test_one_row_has_sizes_of_one() -> None:
    nodes = [helper.make_node("Shape", ["x"], ["y"])]
    asked = model(nodes, {"x": ODD}, {"y": TensorProto.INT64}, {"x": ("n",)})
    plain = readable(asked, one_row=True)
    assert numpy_helper.to_array(plain.graph.initializer[0]).tolist() == [1]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sampled_from(["Add", "Sub", "Mul", "Min", "Max"]), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_whatever_is_computed_ahead_answers_the_same(ops: list[str], random: Any) -> None:
    names = ["x", "a", "b"]
    nodes = [
        helper.make_node("Constant", [], ["a"], value_floats=[1.5, -2.0]),
        helper.make_node("Constant", [], ["b"], value_float=0.5),
    ]
    for place, op in enumerate(ops):
        nodes.append(helper.make_node(op, random.choices(names, k=2), [f"t{place}"]))
        names.append(f"t{place}")
    nodes.append(helper.make_node("Add", ["x", names[-1]], ["y"]))
    inputs = {"x": np.array([3.0, -4.0], np.float32)}
    plain = assert_read_as(model(nodes, inputs, {"y": TensorProto.FLOAT}), inputs)
    assert "Constant" not in {node.op_type for node in plain.graph.node}


def test_onnx_has_a_body_of_every_operator_that_is_said_in_others() -> None:
    schemas = [onnx.defs.get_schema(op, 24) for op in DECOMPOSED]
    assert all(s.has_function or s.has_context_dependent_function for s in schemas)
