# SPDX-License-Identifier: Apache-2.0
"""Sound models that ONNX Runtime's quantiser stumbles over are quantised all the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from insight_edge.compile.backends.tensorrt_qdq import symmetric_int8
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.job import BuildJob
from insight_edge.compile.quantize.calibration import write_calibration
from insight_edge.compile.quantize.qdq import answers, sensitivity_of, write_qdq
from insight_edge.compile.quantize.qdq_ready import made_ready
from insight_edge.compile.sources.source import source_from_onnx
from insight_edge.documents.target import target_from_token
from tests.fakes.hardware import profile_of

CHANNELS, BRANCHES = 4, 4
ROW = (CHANNELS, 8, 8)


def weight(name: str, *shape: int, seed: int = 0) -> TensorProto:
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


def model_of(nodes: list[onnx.NodeProto], weights: list[TensorProto]) -> bytes:
    faces = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])]
        for name, shape in (("x", ROW), ("y", ROW))
    ]
    graph = helper.make_graph(nodes, "g", *faces, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data


def sharing_a_bias() -> bytes:
    """Return convolutions with one bias `b`, and a tensor called as its third copy would be."""
    nodes, weights = [], [weight("b", CHANNELS)]
    for index in range(BRANCHES):
        given = "x" if index == 0 else f"b{index - 1}"
        weights.append(weight(f"w{index}", CHANNELS, CHANNELS, 1, 1, seed=index))
        nodes.append(
            helper.make_node("Conv", [given, f"w{index}", "b"], [f"b{index}"], f"c{index}")
        )
    nodes.append(helper.make_node("Neg", [f"b{BRANCHES - 1}"], ["y"], "last"))
    return model_of(nodes, weights)


def reducing_over_axes() -> bytes:
    """Return a graph whose shapes cannot be inferred symbolically."""
    axes = numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes")
    shape = numpy_helper.from_array(np.array([-1, 1, 1, 1], np.int64), "shape")
    nodes = [
        helper.make_node("ReduceMin", ["x", "axes"], ["least"], "reduce", keepdims=0),
        helper.make_node("Reshape", ["least", "shape"], ["spread"], "reshape"),
        helper.make_node("Sub", ["x", "spread"], ["above"], "sub"),
        helper.make_node("Conv", ["above", "w", "b"], ["y"], "conv"),
    ]
    weights = [axes, shape, weight("w", CHANNELS, CHANNELS, 1, 1), weight("b", CHANNELS, seed=9)]
    return model_of(nodes, weights)


def with_a_bias_of_two_dimensions() -> bytes:
    shape = numpy_helper.from_array(np.array([-1, *ROW], np.int64), "shape")
    units = CHANNELS * 64
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], "flatten"),
        helper.make_node("MatMul", ["flat", "w"], ["product"], "matmul"),
        helper.make_node("Add", ["product", "b"], ["sum"], "add"),
        helper.make_node("Reshape", ["sum", "shape"], ["y"], "reshape"),
    ]
    return model_of(nodes, [shape, weight("w", units, units), weight("b", 1, units)])


def of_an_opset_without_scales_a_channel() -> bytes:
    model = onnx.load_from_string(sharing_a_bias())
    model.opset_import[0].version = 12
    data: bytes = model.SerializeToString()
    return data


def unsigned(job: BuildJob, scratch: Path) -> bytes:
    write_qdq(job, scratch / "int8.onnx")
    assert all(layer.sqnr_db > 25 for layer in sensitivity_of(job).layers)
    return (scratch / "int8.onnx").read_bytes()


@pytest.mark.parametrize("flavour", [unsigned, symmetric_int8])
@pytest.mark.parametrize(
    "made",
    [
        sharing_a_bias,
        reducing_over_axes,
        with_a_bias_of_two_dimensions,
        of_an_opset_without_scales_a_channel,
    ],
)
def test_int8_answers_nearly_as_the_model(
    made: Callable[[], bytes], flavour: Callable[[BuildJob, Path], bytes], tmp_path: Path
) -> None:
    data = made()
    rows = np.random.default_rng(1).normal(size=(16, *ROW)).astype(np.float32)
    source = source_from_onnx(data, name="m", importer="onnx")
    job = prepare_job(
        source,
        target_from_token("onnxruntime:int8"),
        profile_of(isa=("avx2", "avx512_vnni")),
        tmp_path,
        calibration=write_calibration(source, {"x": rows}, tmp_path),
    )
    quantised = flavour(job, tmp_path)
    [wanted], [found] = (answers(m, [{"x": rows}]) for m in (data, quantised))
    error = wanted["y"] - found["y"]
    assert 10 * np.log10(np.mean(wanted["y"] ** 2) / np.mean(error**2)) > 25
    held = onnx.load_from_string(quantised).graph.initializer
    assert any(one.data_type == TensorProto.INT8 for one in held)


def test_no_bias_is_shared_and_answers_stay(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(sharing_a_bias())
    ready = made_ready(tmp_path / "m.onnx", named=True)
    biases = [node.input[2] for node in ready.graph.node if node.op_type == "Conv"]
    assert len({*biases}) == BRANCHES
    row = {"x": np.ones((1, *ROW), np.float32)}
    [wanted], [found] = (answers(m, [row]) for m in (sharing_a_bias(), ready.SerializeToString()))
    np.testing.assert_allclose(found["y"], wanted["y"], rtol=1e-5)


def choosing() -> onnx.ModelProto:
    """Return a model with a graph inside an operator, its author's path wherever there is room."""
    branch = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["r"])],
        "branch",
        [],
        [helper.make_tensor_value_info("r", TensorProto.FLOAT, ["batch", *ROW])],
    )
    nodes = [
        helper.make_node("Neg", ["x"], ["n"], "neg"),
        helper.make_node("If", ["yes"], ["y"], "if", then_branch=branch, else_branch=branch),
    ]
    model = onnx.load_from_string(model_of(nodes, []))
    model.graph.input.append(helper.make_tensor_value_info("yes", TensorProto.BOOL, []))
    inside = [a.g for a in model.graph.node[1].attribute]
    for graph in (model.graph, *inside):
        for one in (graph, *graph.node, *graph.output):
            one.metadata_props.add(key="stack_trace", value="/home/ada/train.py:7")
            one.doc_string = "/home/ada/train.py:7"
    return model


def test_nothing_says_where_the_author_had_his_program(tmp_path: Path) -> None:
    onnx.save(choosing(), tmp_path / "m.onnx")
    ready = made_ready(tmp_path / "m.onnx", named=False)
    assert b"ada" not in ready.SerializeToString()
