# SPDX-License-Identifier: Apache-2.0
"""What the backend `tvm` refuses without its toolchain, and which processor it compiles for."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import NodeProto, TensorProto, helper

from insight_edge.compile.backends import tvm_operators
from insight_edge.compile.backends.tvm import TvmBackend
from insight_edge.compile.backends.tvm_processor import ARCHITECTURES, demanded, linker, llvm_target
from insight_edge.compile.graph.workload import workload_from_onnx
from insight_edge.compile.plugins.seam import Tuning
from insight_edge.compile.refusals.refusal import Refusal
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.documents.facts import Missing
from insight_edge.documents.workload import Operation, Workload
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import conv_model, model_of, relu_model, value, weights_of

X86 = sorted(ARCHITECTURES["x86_64"].features)


def workload_of(*ops: str) -> Workload:
    operations = tuple(
        Operation(name=op, op=op, flops=0, read_bytes=0, written_bytes=0) for op in ops
    )
    return Workload(
        model_digest="sha256:0",
        opset=18,
        inputs=(),
        outputs=(),
        operations=operations,
        flops=0,
        parameter_bytes=0,
        peak_live_bytes=0,
    )


def called(node: NodeProto) -> Workload:
    """Return the workload of one call: `k` is passed in, `two` is carried, `sizes` are of `x`."""
    model = model_of(
        [helper.make_node("Shape", ["x"], ["sizes"], name="first"), node],
        [value("x", (1, 2, 4, 4)), value("k", (1,), kind=TensorProto.INT64)],
        [value("y", None)],
        weights_of(0, w=(2,)),
    )
    model.graph.initializer.append(helper.make_tensor("two", TensorProto.INT64, [1], [2]))
    return workload_from_onnx(model, "sha256:0")


def refusal(source: SourceModel, arch: str = "x86_64") -> str | None:
    backend = TvmBackend()
    (target,) = backend.targets()
    return backend.refuse(source, target, profile_of(arch=arch))


@pytest.mark.parametrize(
    ("op", "told"),
    [
        ("LSTM", "no recurrent operators (LSTM)"),
        ("GRU", "no recurrent operators (GRU)"),
        ("If", "no control flow (If)"),
        ("Loop", "no control flow (Loop)"),
        ("ai.onnx.ml.TreeEnsembleRegressor", "no classical operators"),
        ("SequenceAt", "not sequences"),
        ("NonZero", "calls that no device has"),
        ("Det", "does not know Det"),
        ("com.microsoft.Gelu", "does not know com.microsoft.Gelu"),
    ],
)
def test_operator_that_the_frontend_lacks_is_refused_by_name(op: str, told: str) -> None:
    reason = tvm_operators.unknown_operators(workload_of("Conv", op))
    assert reason is not None
    assert told in reason


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (helper.make_node("TopK", ["x", "k"], ["y", "i"]), "takes no TopK whose axes, sizes"),
        (helper.make_node("ReduceSum", ["x", "k"], ["y"]), "takes no ReduceSum"),
        (helper.make_node("Resize", ["x", "", "", "k"], ["y"]), "takes no Resize whose scales"),
        (helper.make_node("Pad", ["x", "k"], ["y"]), "takes no Pad whose pads"),
        (helper.make_node("HannWindow", ["k"], ["y"]), "takes no HannWindow"),
        (helper.make_node("NonMaxSuppression", ["x", "x"], ["y"]), "as many boxes as there may be"),
        (
            helper.make_node("RoiAlign", ["x", "w", "k"], ["y"], mode="max"),
            "the largest with RoiAlign otherwise",
        ),
        (
            helper.make_node("MaxPool", ["x"], ["p", "y"], kernel_shape=[1, 1]),
            "makes no indices of MaxPool",
        ),
        (
            helper.make_node("QuantizeLinear", ["x", "w"], ["y"], block_size=2),
            "a scale for each block",
        ),
    ],
    ids=lambda each: each.op_type if isinstance(each, NodeProto) else "",
)
def test_call_that_the_frontend_does_not_take_is_refused_with_what_to_change(
    node: NodeProto, told: str
) -> None:
    reason = tvm_operators.unknown_operators(called(node))
    assert reason is not None
    assert told in reason
    assert isinstance(reason, Refusal)
    assert reason.hint.endswith(f": {node.op_type} (node '{node.op_type}_1')")


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("TopK", ["x", "two"], ["y", "i"]),
        helper.make_node("Resize", ["x", "", "", "sizes"], ["y"]),
        helper.make_node("MaxPool", ["x"], ["y", "indices"], kernel_shape=[1, 1]),
        helper.make_node("Squeeze", ["x"], ["y"]),
    ],
    ids=lambda node: str(node.op_type),
)
def test_call_with_constants_or_sizes_is_taken(node: NodeProto) -> None:
    assert tvm_operators.unknown_operators(called(node)) is None


def test_model_of_known_operators_is_not_refused() -> None:
    source = source_from_onnx(conv_model().SerializeToString(), name="m", importer="onnx")
    assert refusal(source) is None


def test_processor_that_nobody_compiles_for_is_refused() -> None:
    source = source_from_onnx(relu_model().SerializeToString(), name="m", importer="onnx")
    assert refusal(source, "riscv64") == "TVM is not set up to compile for riscv64"


def test_cross_linker_that_is_not_there_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    source = source_from_onnx(relu_model().SerializeToString(), name="m", importer="onnx")
    assert refusal(source, "aarch64") == (
        f"linking for aarch64 needs {linker('aarch64')} (apt-get install gcc-aarch64-linux-gnu)"
    )


def test_toolchain_without_a_linker_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = TvmBackend().toolchain()
    assert isinstance(found, Missing)
    assert "gcc" in found.reason


def test_backend_tunes() -> None:
    backend = TvmBackend()
    assert isinstance(backend, Tuning)
    assert all(backend.tunes(target) for target in backend.targets())


@given(st.sets(st.sampled_from([*X86, "amx_tile", "neon", "made_up"])))
def test_code_uses_no_extension_that_the_job_does_not_name(isa: set[str]) -> None:
    features = llvm_target("x86_64", sorted(isa)).get("mattr", [])
    assert isinstance(features, list)
    named = {ARCHITECTURES["x86_64"].features.get(name) for name in isa}
    assert {feature.removeprefix("+") for feature in features} <= named
    assert set(demanded("x86_64", sorted(isa))) <= isa


def test_no_part_of_avx512_is_taken_without_its_foundation() -> None:
    assert demanded("x86_64", ["avx2", "avx512bw", "avx512_bf16"]) == ("avx2",)
    assert demanded("x86_64", ["avx512bw", "avx512f"]) == ("avx512bw", "avx512f")


def test_processor_is_the_plainest_of_its_architecture() -> None:
    assert llvm_target("aarch64", ["asimddp", "sve"]) == {
        "kind": "llvm",
        "mtriple": "aarch64-linux-gnu",
        "mcpu": "generic",
    }
    assert llvm_target("armv7l", ["neon", "half"]) == {
        "kind": "llvm",
        "mtriple": "armv7-linux-gnueabihf",
        "mcpu": "generic",
        "mfloat-abi": "hard",
        "mattr": ["+neon"],
    }
    assert "mattr" in llvm_target("aarch64", ["asimd"])
    assert "mattr" not in llvm_target("x86_64", [])


def test_lists_of_operators_do_not_overlap() -> None:
    lists = [
        tvm_operators.KNOWN,
        tvm_operators.FOREIGN,
        tvm_operators.WITHOUT_TENSORS,
        tvm_operators.RECURRENT,
        tvm_operators.CONTROL_FLOW,
    ]
    assert len(frozenset().union(*lists)) == sum(map(len, lists))


@pytest.mark.slow
def test_list_of_operators_is_that_of_the_installed_toolchain() -> None:
    toolchain = TvmBackend().toolchain()
    if isinstance(toolchain, Missing):
        pytest.skip(f"tvm: {toolchain.reason}")
    code = (
        "from tvm.relax.frontend.onnx import onnx_frontend\n"
        "print(*onnx_frontend._get_convert_map())"
    )
    done = subprocess.run(
        [toolchain.python, "-c", code], capture_output=True, text=True, check=True
    )
    kept = tvm_operators.KNOWN | tvm_operators.FOREIGN | tvm_operators.WITHOUT_TENSORS
    assert kept == set(done.stdout.split())
    assert toolchain.versions["apache-tvm"] == tvm_operators.RELEASE
