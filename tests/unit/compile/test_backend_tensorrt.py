# SPDX-License-Identifier: Apache-2.0
"""What TensorRT is refused for, and the graphs that it is given."""

import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from insight_edge.compile.backends.tensorrt import UNSUPPORTED, TensorRtBackend
from insight_edge.compile.backends.tensorrt_half import LARGEST, half_precision
from insight_edge.compile.backends.tensorrt_network import MAX_BATCH
from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import BuildOutcome, Built, Failed
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.job import BuildJob
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import Accelerator, Figure
from insight_edge.documents.target import Precision, Target
from insight_edge.documents.workload import Operation
from tests.fakes.hardware import GPU, profile_of
from tests.fakes.onnx_models import conv_model, model_of, recurrent_model, relu_model, value

BACKEND = TensorRtBackend()
TOOLCHAIN = BACKEND.toolchain()
INSTALLED = pytest.mark.skipif(
    isinstance(TOOLCHAIN, Missing), reason=getattr(TOOLCHAIN, "reason", "")
)
NOTHING: dict[str, Any] = {"flops": 0, "read_bytes": 0, "written_bytes": 0, "parameter_bytes": 0}
PLUGIN = "insight_edge.compile.backends.tensorrt:TensorRtBackend"


def source_of(model: onnx.ModelProto) -> SourceModel:
    return source_from_onnx(model.SerializeToString(), name="m", importer="onnx")


def target(precision: Precision = "fp32") -> Target:
    return Target(backend="tensorrt", precision=precision)


def gpu(capability: str | None) -> Accelerator:
    found = None if capability is None else Figure(value=capability, source="s")
    return msgspec.structs.replace(GPU, compute_capability=found)


def refusal(model: onnx.ModelProto, precision: Precision = "fp32", *gpus: Accelerator) -> str:
    profile = profile_of(accelerators=gpus or (GPU,))
    return BACKEND.refuse(source_of(model), target(precision), profile) or ""


def answers(model: onnx.ModelProto, feeds: Mapping[str, Any]) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, dict(feeds))[0]


@pytest.mark.parametrize("capability", ["7.5", "8.0", "8.6", "8.9", "12.0", "12.1"])
def test_gpus_that_rtx_builds_for_are_not_refused(capability: str) -> None:
    assert refusal(conv_model(), "fp16", gpu(capability)) == ""


@pytest.mark.parametrize("capability", ["8.7", "9.0", "10.0"])
def test_other_gpus_are_refused_for_rtx_and_sent_to_a_device(capability: str) -> None:
    said = refusal(conv_model(), "fp32", gpu(capability))
    assert f"does not build for compute capability {capability}" in said
    assert "a build job for a device of box" in said


def test_gpu_that_neither_flavour_builds_for_is_refused() -> None:
    said = refusal(conv_model(), "fp32", gpu("5.3"))
    assert said == "TensorRT-RTX does not build for compute capability 5.3, nor does TensorRT"


def test_model_that_no_plan_can_be_of_is_not_sent_to_a_device() -> None:
    unique = model_of(
        [helper.make_node("Unique", ["x"], ["y"])], [value("x", (4,))], [value("y", ("n",))]
    )
    assert refusal(unique, "fp32", gpu("8.7")) == "builds no Unique"


def test_profile_without_a_gpu_is_refused() -> None:
    assert "has no NVIDIA GPU" in (
        BACKEND.refuse(source_of(conv_model()), target(), profile_of()) or ""
    )
    assert "has no NVIDIA GPU" in refusal(conv_model(), "fp32", gpu(None))


def test_operators_that_no_plan_has_are_refused_by_name() -> None:
    unique = model_of(
        [helper.make_node("Unique", ["x"], ["y"])], [value("x", (4,))], [value("y", ("n",))]
    )
    assert refusal(unique) == "builds no Unique"


def changed(**changes: Any) -> SourceModel:
    source = source_of(conv_model())
    workload = msgspec.structs.replace(source.workload, **changes)
    return dataclasses.replace(source, workload=workload)


def test_attention_is_refused_and_its_opset_is_not() -> None:
    profile = profile_of(accelerators=[GPU])
    attention = Operation(name="a", op="Attention", **NOTHING)
    said = BACKEND.refuse(changed(operations=(attention,)), target(), profile)
    assert "builds no Attention" in (said or "")
    assert BACKEND.refuse(changed(opset=23), target(), profile) is None


def test_int8_of_an_old_opset_is_refused() -> None:
    profile = profile_of(accelerators=[GPU])
    assert BACKEND.refuse(changed(opset=12), target(), profile) is None
    said = BACKEND.refuse(changed(opset=12), target("int8"), profile)
    assert said == "INT8 takes opset 13 or newer, the model has 12"


def test_double_precision_is_refused() -> None:
    double = model_of(
        [helper.make_node("Relu", ["x"], ["y"])],
        [value("x", ("batch", 4), TensorProto.DOUBLE)],
        [value("y", ("batch", 4), TensorProto.DOUBLE)],
    )
    assert refusal(double) == "tensor 'x' is float64, a plan has none of that"


def test_only_the_batch_may_be_free() -> None:
    assert "the range of length is not known" in refusal(relu_model(("batch", "length")))
    assert refusal(recurrent_model("LSTM")) == ""


def test_int8_is_refused_where_it_gains_nothing() -> None:
    assert "does not quantise LSTM" in refusal(recurrent_model("LSTM"), "int8")
    assert "no operator" in refusal(relu_model(), "int8")


def test_classical_operators_are_refused() -> None:
    node = helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[0.0], scale=[1.0])
    model = model_of([node], [value("x", ("batch", 4))], [value("y", ("batch", 4))])
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    assert refusal(model) == "cannot read ai.onnx.ml.Scaler"


def test_job_names_the_gpu_only_for_what_runs_on_it(tmp_path: Path) -> None:
    profile, source = profile_of(accelerators=[GPU]), source_of(conv_model())
    assert prepare_job(source, target(), profile, tmp_path).compute_capabilities == ("8.9",)
    other = prepare_job(source, Target(backend="openvino", precision="fp32"), profile, tmp_path)
    assert other.compute_capabilities == ()


@pytest.mark.parametrize("op", ["conv", "LSTM", "GRU"])
def test_half_precision_answers_like_the_source_and_keeps_its_face(op: str) -> None:
    model = conv_model() if op == "conv" else recurrent_model(op)
    halved = half_precision(model)
    onnx.checker.check_model(halved, full_check=True)
    assert halved.graph.input == model.graph.input
    assert halved.graph.output == model.graph.output
    assert len(halved.SerializeToString()) < 0.75 * len(model.SerializeToString())
    shape = (5, 3, 16, 16) if op == "conv" else (6, 5, 4)
    feeds = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    wanted, found = answers(model, feeds), answers(halved, feeds)
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    assert 0 < error < 5e-3


def test_half_precision_leaves_shapes_and_sums_of_squares_in_fp32() -> None:
    model = model_of(
        [
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("Cast", ["s"], ["sf"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["sf", "two"], ["grown"]),
            helper.make_node("Cast", ["grown"], ["sizes"], to=TensorProto.INT64),
            helper.make_node("Expand", ["one", "sizes"], ["big"]),
            helper.make_node("ReduceSumSquare", ["x"], ["sum"], keepdims=1),
            helper.make_node("Add", ["big", "sum"], ["y"]),
        ],
        [value("x", (1, 3000))],
        [value("y", (1, 6000))],
        {"two": np.array([1, 2], np.float32), "one": np.array([[1.0]], np.float32)},
    )
    halved = half_precision(model)
    kinds = {n.op_type: list(n.input) for n in halved.graph.node if n.op_type != "Cast"}
    assert kinds["Mul"] == ["sf", "two"]
    assert kinds["ReduceSumSquare"] == ["x"]
    feeds = {"x": np.full((1, 3000), 2, np.float32)}
    np.testing.assert_allclose(answers(halved, feeds), answers(model, feeds), rtol=1e-3)


def test_half_precision_keeps_what_a_subgraph_takes_from_outside() -> None:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["a"], ["b"])], "then", [], [value("b", None)]
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["a"], ["c"])], "else", [], [value("c", None)]
    )
    model = model_of(
        [
            helper.make_node("Add", ["x", "x"], ["a"]),
            helper.make_node("If", ["flag"], ["i"], then_branch=branch, else_branch=other),
            helper.make_node("Mul", ["i", "a"], ["y"]),
        ],
        [value("x", (2, 4)), value("flag", (), TensorProto.BOOL)],
        [value("y", (2, 4))],
    )
    halved = half_precision(model)
    onnx.checker.check_model(halved, full_check=True)
    x = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    for flag in (True, False):
        feeds = {"x": x, "flag": np.array(flag)}
        np.testing.assert_allclose(answers(halved, feeds), answers(model, feeds), rtol=5e-3)


def test_half_precision_makes_what_is_too_large_the_largest() -> None:
    model = model_of(
        [helper.make_node("Add", ["x", "mask"], ["y"])],
        [value("x", (3,))],
        [value("y", (3,))],
        {"mask": np.array([-1e9, -np.inf, 1.0], np.float32)},
    )
    found = answers(half_precision(model), {"x": np.zeros(3, np.float32)})
    np.testing.assert_array_equal(found, [-LARGEST, -np.inf, 1.0])


def build_here(model: onnx.ModelProto, place: Path, **changes: Any) -> BuildOutcome:
    assert not isinstance(TOOLCHAIN, Missing)
    path = place / "m.onnx"
    path.write_bytes(model.SerializeToString())
    job = BuildJob(
        plugin=PLUGIN,
        target=target(),
        model=str(path),
        model_digest="sha256:0",
        arch="x86_64",
        compute_capabilities=("8.9",),
    )
    return build(msgspec.structs.replace(job, **changes), place / "b", python=TOOLCHAIN.python)


@INSTALLED
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_recurrent_net_with_a_free_batch_builds(precision: Precision, tmp_path: Path) -> None:
    outcome = build_here(recurrent_model("LSTM"), tmp_path, target=target(precision))
    assert isinstance(outcome, Built), outcome
    assert outcome.artifact.settings == {
        "flavour": "rtx",
        "compute_capabilities": "8.9",
        "max_batch": str(MAX_BATCH),
    }
    header = (outcome.directory / outcome.artifact.entry).read_bytes()[:4]
    assert header == b"vtrt"


@INSTALLED
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_axes_from_ranks_and_products_of_a_vector_build(
    precision: Precision, tmp_path: Path
) -> None:
    model = model_of(
        [
            helper.make_node("Shape", ["x"], ["sizes"]),
            helper.make_node("Size", ["sizes"], ["rank"]),
            helper.make_node("Range", ["one", "rank", "one"], ["axes"]),
            helper.make_node("MatMul", ["vector", "x"], ["product"]),
            helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
            helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
            helper.make_node("Add", ["product", "column"], ["y"]),
        ],
        [value("x", ("batch", 3, 4))],
        [value("y", ("batch", 4))],
        {
            "one": np.array(1, np.int64),
            "last": np.array([1], np.int64),
            "vector": np.ones(3, np.float32),
        },
    )
    outcome = build_here(model, tmp_path, target=target(precision))
    assert isinstance(outcome, Built), outcome


@INSTALLED
@pytest.mark.slow
def test_graph_that_the_parser_refuses_fails_with_its_own_words(tmp_path: Path) -> None:
    unique = model_of(
        [helper.make_node("Unique", ["x"], ["y"])], [value("x", (4,))], [value("y", ("n",))]
    )
    outcome = build_here(unique, tmp_path)
    assert isinstance(outcome, Failed)
    assert "the parser refused" in outcome.reason
    assert "Unique" in outcome.reason


@INSTALLED
@pytest.mark.slow
@pytest.mark.parametrize("capability", ["8.7", "9.0"])
def test_full_tensorrt_that_is_not_there_says_where_it_comes_from(
    capability: str, tmp_path: Path
) -> None:
    outcome = build_here(relu_model((1, 4)), tmp_path, compute_capabilities=(capability,))
    assert isinstance(outcome, Failed)
    assert "downloads from NVIDIA's own index" in outcome.reason


@INSTALLED
@pytest.mark.slow
def test_what_is_refused_by_name_is_what_the_parser_does_not_know() -> None:
    assert not isinstance(TOOLCHAIN, Missing)
    code = (
        "import onnx, tensorrt_rtx_bindings as trt\n"
        "builder = trt.Builder(trt.Logger(trt.Logger.ERROR))\n"
        "parser = trt.OnnxParser(builder.create_network(0), builder.logger)\n"
        "ops = sorted({s.name for s in onnx.defs.get_all_schemas() if not s.domain})\n"
        "print(*[op for op in ops if not parser.supports_operator(op)])\n"
    )
    done = subprocess.run(
        [TOOLCHAIN.python, "-c", code], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == UNSUPPORTED - {"Attention"}


def test_backend_imports_no_toolchain() -> None:
    code = (
        "import sys, insight_edge.compile.backends.tensorrt\n"
        "heavy = {'tensorrt_rtx_bindings', 'tensorrt_bindings', 'onnxruntime'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
