# SPDX-License-Identifier: Apache-2.0
"""Calls that a backend does not take although it has the operator, told without its toolchain."""

from collections.abc import Callable, Mapping

import onnx
import pytest
from onnx import NodeProto, TensorProto, helper

from insight_edge.compile.backends import (
    onnxruntime_operators,
    onnxruntime_rules,
    openvino_operators,
    openvino_rules,
    tensorrt_rules,
    tflite_operators,
    tflite_rules,
    tvm_rules,
)
from insight_edge.compile.graph.signatures import TOLD, TOLD_OF
from insight_edge.compile.graph.workload import workload_from_onnx
from insight_edge.compile.refusals.refusal import Refusal
from insight_edge.compile.refusals.rules import Rule, rule_refusal
from insight_edge.documents.workload import Workload
from tests.fakes.onnx_models import model_of, value, weights_of

Told = Callable[[Workload], Refusal | None]

BY_BACKEND: Mapping[str, Told] = {
    "onnxruntime": onnxruntime_operators.unsupported_operators,
    "openvino": openvino_operators.unsupported_operators,
    "tensorrt": lambda workload: rule_refusal(workload, tensorrt_rules.RULES),
    "tflite": tflite_operators.unsupported_operators,
}
RULES: Mapping[str, tuple[Rule, ...]] = {
    "onnxruntime": onnxruntime_rules.RULES,
    "openvino": openvino_rules.RULES,
    "tensorrt": tensorrt_rules.RULES,
    "tflite": tflite_rules.RULES,
    "tvm": tvm_rules.RULES,
}


def called(node: NodeProto, kind: int = TensorProto.FLOAT) -> Workload:
    """Return the workload of one call: `x` of a type and `k` are passed, `w`, `two` carried."""
    model = model_of(
        [node],
        [value("x", (1, 2, 4, 4), kind), value("k", (1,), kind=TensorProto.INT64)],
        [value(node.output[0], None, kind)],
        weights_of(0, w=(2, 2, 1, 1), s=(1, 8, 4), p=(1, 6)),
    )
    model.graph.initializer.append(helper.make_tensor("two", TensorProto.INT64, [1], [2]))
    model.graph.initializer.append(helper.make_tensor("two8", TensorProto.UINT8, [1], [2]))
    return workload_from_onnx(model, "sha256:0")


def resize(**attributes: object) -> NodeProto:
    return helper.make_node("Resize", ["x", "", "", "two"], ["y"], **attributes)


def pool(op: str, **attributes: object) -> NodeProto:
    return helper.make_node(op, ["x"], ["y"], kernel_shape=[2, 2], **attributes)


def blocks(*zeros: str) -> NodeProto:
    return helper.make_node(
        "QuantizeLinear", ["x", "w", *zeros], ["y"], axis=1, block_size=2, output_dtype=3
    )


def sampled(**attributes: object) -> NodeProto:
    return helper.make_node("GridSample", ["x", "x"], ["y"], **attributes)


def shifted(by: str, direction: str) -> NodeProto:
    return helper.make_node("BitShift", ["x", by], ["y"], direction=direction)


def normalised(**attributes: object) -> NodeProto:
    return helper.make_node("LpNormalization", ["x"], ["y"], **attributes)


REFUSED: list[tuple[str, NodeProto, int, str]] = [
    ("onnxruntime", helper.make_node("Max", ["x", "x"], ["y"]), TensorProto.INT16, "no kernel"),
    (
        "onnxruntime",
        helper.make_node("BitShift", ["x", "x"], ["y"]),
        TensorProto.UINT16,
        "BitShift",
    ),
    ("openvino", resize(antialias=1), TensorProto.FLOAT, "antialias"),
    ("openvino", resize(exclude_outside=1), TensorProto.FLOAT, "exclude_outside"),
    ("openvino", resize(keep_aspect_ratio_policy="not_larger"), TensorProto.FLOAT, "aspect ratio"),
    (
        "openvino",
        helper.make_node("LSTM", ["x", "s", "s", "", "", "", "", "p"], ["y"], hidden_size=2),
        TensorProto.FLOAT,
        "peepholes of LSTM",
    ),
    ("openvino", helper.make_node("Unsqueeze", ["x", "k"], ["y"]), TensorProto.FLOAT, "axes"),
    ("openvino", blocks(), TensorProto.FLOAT, "blocks without zero points"),
    (
        "openvino",
        helper.make_node("RoiAlign", ["x", "s", "k"], ["y"], mode="max"),
        TensorProto.FLOAT,
        "the largest",
    ),
    ("tensorrt", pool("MaxPool", dilations=[1, 2]), TensorProto.FLOAT, "dilations"),
    ("tensorrt", pool("LpPool", p=3), TensorProto.FLOAT, "p 1 or 2"),
    ("tensorrt", helper.make_node("Transpose", ["x"], ["y"]), TensorProto.UINT8, "uint8"),
    ("tensorrt", helper.make_node("Max", ["x", "x"], ["y"]), TensorProto.UINT8, "uint8"),
    ("tensorrt", helper.make_node("Mod", ["x", "x"], ["y"]), TensorProto.INT8, "int8"),
    ("tensorrt", helper.make_node("Clip", ["x", "", ""], ["y"]), TensorProto.INT8, "bounds"),
    ("tensorrt", helper.make_node("NonZero", ["x"], ["y"]), TensorProto.FLOAT, "NonZero"),
    (
        "tensorrt",
        helper.make_node("DequantizeLinear", ["x", "w", "x"], ["y"]),
        TensorProto.INT8,
        "zero point",
    ),
    (
        "tensorrt",
        helper.make_node("DequantizeLinear", ["x", "w"], ["y"]),
        TensorProto.UINT8,
        "uint8",
    ),
    (
        "tensorrt",
        helper.make_node("TensorScatter", ["x", "x"], ["y"], mode="circular"),
        TensorProto.FLOAT,
        "circular",
    ),
    ("tflite", helper.make_node("ReduceMax", ["x", "k"], ["y"]), TensorProto.FLOAT, "ReduceMax"),
    ("tflite", helper.make_node("Conv", ["x", "x"], ["y"]), TensorProto.FLOAT, "weights or scales"),
    ("tflite", helper.make_node("Add", ["x", "x"], ["y"]), TensorProto.INT8, "8-bit integers"),
    ("tflite", helper.make_node("Pow", ["x", "x"], ["y"]), TensorProto.INT32, "of integers"),
    ("tflite", helper.make_node("Div", ["x", "x"], ["y"]), TensorProto.INT8, "8-bit integers"),
    ("tflite", helper.make_node("BitwiseNot", ["x"], ["y"]), TensorProto.UINT8, "8-bit integers"),
    ("tflite", helper.make_node("Mod", ["x", "x"], ["y"]), TensorProto.UINT8, "unsigned"),
    ("tflite", helper.make_node("Mod", ["x", "x"], ["y"], fmod=1), TensorProto.FLOAT, "fmod"),
    ("tflite", shifted("two8", "LEFT"), TensorProto.UINT8, "to the left"),
    ("tflite", helper.make_node("CumSum", ["x", "k"], ["y"]), TensorProto.FLOAT, "CumSum"),
    ("tflite", helper.make_node("ConvInteger", ["x", "x"], ["y"]), TensorProto.UINT8, "weights"),
    ("tflite", pool("MaxPool", dilations=[1, 2]), TensorProto.FLOAT, "no dilated MaxPool"),
    ("tflite", pool("AveragePool", dilations=[2, 2]), TensorProto.FLOAT, "AveragePool"),
    ("tflite", pool("LpPool", pads=[0, 1, 0, 0]), TensorProto.FLOAT, "without padding"),
    ("tflite", pool("LpPool", auto_pad="SAME_UPPER"), TensorProto.FLOAT, "without padding"),
    ("tflite", pool("LpPool", ceil_mode=1), TensorProto.FLOAT, "rounded up"),
    ("tflite", normalised(p=1), TensorProto.FLOAT, "by squares"),
    ("tflite", normalised(axis=1), TensorProto.FLOAT, "the last axis"),
    ("tflite", sampled(padding_mode="reflection"), TensorProto.FLOAT, "reflects"),
]

TAKEN: list[tuple[str, NodeProto, int]] = [
    ("onnxruntime", helper.make_node("Max", ["x", "x"], ["y"]), TensorProto.INT32),
    ("openvino", resize(antialias=0), TensorProto.FLOAT),
    ("openvino", helper.make_node("Unsqueeze", ["x", "two"], ["y"]), TensorProto.FLOAT),
    ("openvino", blocks("p"), TensorProto.FLOAT),
    ("openvino", helper.make_node("RoiAlign", ["x", "s", "k"], ["y"]), TensorProto.FLOAT),
    ("tensorrt", pool("MaxPool", dilations=[1, 1]), TensorProto.FLOAT),
    ("tensorrt", pool("MaxPool"), TensorProto.FLOAT),
    ("tensorrt", pool("LpPool", p=1), TensorProto.FLOAT),
    ("tensorrt", helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT), TensorProto.UINT8),
    ("tensorrt", helper.make_node("Max", ["x"], ["y"]), TensorProto.UINT8),
    ("tensorrt", helper.make_node("Clip", ["x"], ["y"]), TensorProto.INT8),
    ("tensorrt", helper.make_node("Clip", ["x", "x"], ["y"]), TensorProto.FLOAT),
    ("tensorrt", helper.make_node("DequantizeLinear", ["x", "w", "two"], ["y"]), TensorProto.INT8),
    ("tflite", helper.make_node("ReduceMax", ["x", "two"], ["y"]), TensorProto.FLOAT),
    ("tflite", helper.make_node("Conv", ["x", "w"], ["y"]), TensorProto.FLOAT),
    ("tflite", helper.make_node("Add", ["x", "x"], ["y"]), TensorProto.INT32),
    ("tflite", helper.make_node("Swish", ["x"], ["y"]), TensorProto.FLOAT),
    ("tflite", helper.make_node("Div", ["x", "x"], ["y"]), TensorProto.INT32),
    ("tflite", helper.make_node("BitwiseNot", ["x"], ["y"]), TensorProto.INT32),
    ("tflite", helper.make_node("Mod", ["x", "x"], ["y"], fmod=0), TensorProto.INT8),
    ("tflite", shifted("two8", "RIGHT"), TensorProto.UINT8),
    ("tflite", shifted("two", "LEFT"), TensorProto.INT64),
    ("tflite", helper.make_node("CumSum", ["x", "two"], ["y"]), TensorProto.FLOAT),
    ("tflite", pool("MaxPool", dilations=[1, 1]), TensorProto.FLOAT),
    ("tflite", pool("LpPool", pads=[0, 0, 0, 0], auto_pad="VALID"), TensorProto.FLOAT),
    ("tflite", normalised(p=2, axis=3), TensorProto.FLOAT),
    ("tflite", normalised(), TensorProto.FLOAT),
    ("tflite", sampled(padding_mode="border", mode="nearest"), TensorProto.FLOAT),
]


def label(one: object) -> str:
    return one.op_type if isinstance(one, NodeProto) else ""


@pytest.mark.parametrize(("backend", "node", "kind", "told"), REFUSED, ids=label)
def test_call_is_refused_with_its_node_and_what_to_change(
    backend: str, node: NodeProto, kind: int, told: str
) -> None:
    refusal = BY_BACKEND[backend](called(node, kind))
    assert isinstance(refusal, Refusal)
    assert told in refusal
    assert refusal.hint.endswith(f": {node.op_type} (node '{node.op_type}_0')")


@pytest.mark.parametrize(("backend", "node", "kind"), TAKEN, ids=label)
def test_call_beside_is_taken(backend: str, node: NodeProto, kind: int) -> None:
    assert BY_BACKEND[backend](called(node, kind)) is None


@pytest.mark.parametrize(
    ("turns", "read", "told"), [("k", "all", True), ("two", "all", False), ("k", "last", False)]
)
def test_plan_of_a_loop_stacks_answers_only_where_their_number_is_known(
    turns: str, read: str, told: bool
) -> None:
    size = (2, 3)
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["on"]),
            helper.make_node("Neg", ["held"], ["kept"]),
            helper.make_node("Abs", ["held"], ["each"]),
        ],
        "body",
        [
            value("turn", (), TensorProto.INT64),
            value("going", (), TensorProto.BOOL),
            value("held", size),
        ],
        [value("on", (), TensorProto.BOOL), value("kept", size), value("each", size)],
    )
    model = model_of(
        [helper.make_node("Loop", [turns, "", "x"], ["last", "all"], body=body)],
        [value("x", size), value("k", (), TensorProto.INT64)],
        [value(read, None)],
    )
    model.graph.initializer.append(helper.make_tensor("two", TensorProto.INT64, [], [2]))
    refusal = BY_BACKEND["tensorrt"](workload_from_onnx(model, "sha256:0"))
    assert (refusal is not None) == told


def test_output_that_is_an_input_is_refused_by_its_name() -> None:
    def told(*outputs: str) -> Refusal | None:
        nodes = [helper.make_node("Identity", ["x"], ["y"])]
        model = model_of(nodes, [value("x", (1, 2))], [value(name, (1, 2)) for name in outputs])
        return openvino_operators.unsupported_operators(workload_from_onnx(model, "sha256:0"))

    refusal = told("y", "x")
    assert refusal is not None
    assert "an input as well (x)" in refusal
    assert "Identity" in refusal.hint
    assert told("y") is None


@pytest.mark.parametrize("backend", RULES)
def test_reasons_have_a_place_for_operators_and_hints_none(backend: str) -> None:
    for rule in RULES[backend]:
        assert rule.ops
        assert rule.reason.count("{}") == 1
        assert rule.hint
        assert "{}" not in rule.hint


def test_volumes_are_not_sampled_at_the_nearest() -> None:
    node = helper.make_node("GridSample", ["x", "g"], ["y"], mode="nearest")
    inputs = [value("x", (1, 2, 4, 4, 4)), value("g", (1, 3, 3, 3, 3))]
    model = model_of([node], inputs, [value("y", (1, 2, 3, 3, 3))], opset=20)
    refusal = BY_BACKEND["tflite"](workload_from_onnx(model, "sha256:0"))
    assert refusal == "has no GridSample of the nearest in a volume"


def test_attributes_that_are_told_are_known_to_onnx() -> None:
    every = onnx.defs.get_all_schemas_with_history()
    assert {name for each in every for name in each.attributes} >= TOLD
    for op, told in TOLD_OF.items():
        assert {name for each in every if each.name == op for name in each.attributes} >= told
