# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from onnx import ModelProto, helper

from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.plugins.discovery import backends
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.compile.targets.plan import Planned, offers, plan
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import HardwareProfile, Limits
from insight_edge.documents.target import Target, target_from_token
from insight_edge.errors import ConfigurationError
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import conv_model, model_of, recurrent_model, relu_model, value

AVX512 = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16")


def source_of(model: ModelProto) -> SourceModel:
    return source_from_onnx(model.SerializeToString(), name="m", importer="onnx")


def refusals(
    model: ModelProto, profile: HardwareProfile | None = None, *, calibrated: bool = True
) -> dict[str, str | None]:
    profile = profile or profile_of(isa=AVX512)
    offered = offers(backends(), source_of(model), profile)
    return {p.target.token: p.refusal for p in plan(offered, profile, calibrated=calibrated)}


def tree_model() -> ModelProto:
    node = helper.make_node(
        "TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1,
        nodes_treeids=[0], nodes_nodeids=[0], nodes_featureids=[0], nodes_values=[0.0],
        nodes_modes=["LEAF"], nodes_truenodeids=[0], nodes_falsenodeids=[0],
        target_treeids=[0], target_nodeids=[0], target_ids=[0], target_weights=[1.0],
    )  # fmt: skip
    model = model_of([node], [value("x", ("n", 3))], [value("y", ("n", 1))])
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return model


class Fake:
    """A backend that offers what it is told to."""

    def __init__(
        self, toolchain: Toolchain | Missing, refusal: str | Exception | None = None
    ) -> None:
        self._toolchain = toolchain
        self._refusal = refusal

    def toolchain(self) -> Toolchain | Missing:
        return self._toolchain

    def targets(self) -> tuple[Target, ...]:
        return (Target(backend="fake", precision="fp32"),)

    def refuse(self, source: SourceModel, target: Target, profile: HardwareProfile) -> str | None:  # noqa: ARG002
        if isinstance(self._refusal, Exception):
            raise self._refusal
        return self._refusal

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        raise NotImplementedError


def test_convolutions_are_planned_in_order_of_backend_and_precision() -> None:
    found = refusals(conv_model())
    mine = [token for token in found if token.startswith(("onnxruntime:", "openvino:"))]
    assert mine == [
        "onnxruntime:fp32",
        "onnxruntime:int8",
        "openvino:fp32",
        "openvino:bf16",
        "openvino:fp16",
        "openvino:int8",
        "openvino:int8+weights",
    ]
    held = {"openvino:fp16", "openvino:int8+weights"}
    assert {token for token in mine if found[token] is not None} == held


@pytest.mark.parametrize("token", ["openvino:fp16", "openvino:int8+weights"])
def test_target_that_saves_size_alone_is_tried_where_it_is_asked_for(token: str) -> None:
    source, profile = source_of(conv_model()), profile_of()
    offered = offers(backends(), source, profile)
    reason = {p.target.token: p.refusal for p in plan(offered, profile, calibrated=False)}[token]
    assert f"try it with --target {token}" in str(reason)
    only = [target_from_token(token)]
    [asked] = plan(offered, profile, calibrated=False, only=only)
    assert (asked.refusal, asked.target) == (None, only[0])


def test_target_that_saves_size_is_tried_where_fp32_has_no_room() -> None:
    crowded = replace(profile_of(), limits=Limits(artifact_bytes=1000))
    assert refusals(conv_model(), crowded)["openvino:fp16"] is None


def test_int8_without_rows_is_refused() -> None:
    found = refusals(conv_model(), calibrated=False)
    assert "--calibration" in str(found["onnxruntime:int8"])
    assert "--calibration" in str(found["openvino:int8"])
    assert found["openvino:bf16"] is None


@pytest.mark.parametrize(
    ("isa", "planned"),
    [(("avx2",), False), (("avx512f", "avx512_bf16"), True), (("amx_bf16",), True)],
)
def test_bf16_needs_a_processor_that_has_it(isa: tuple[str, ...], *, planned: bool) -> None:
    found = refusals(conv_model(), profile_of(isa=isa))["openvino:bf16"]
    assert found is None if planned else "emulated" in str(found)


@pytest.mark.parametrize(("op", "by"), [("LSTM", "onnxruntime"), ("GRU", "onnxruntime"),
                                        ("GRU", "openvino")])  # fmt: skip
def test_int8_of_recurrent_models_is_refused(op: str, by: str) -> None:
    found = refusals(recurrent_model(op))
    assert found[f"{by}:int8"] == f"does not quantise {op}, 100% of the arithmetic here"
    assert found[f"{by}:fp32"] is None


def test_int8_of_a_mostly_convolutional_model_is_planned_though_a_cell_follows() -> None:
    model = conv_model()
    graph = recurrent_model("LSTM").graph
    graph.input[0].name = "steps"
    graph.node[0].input[0] = "steps"
    model.graph.node.extend(graph.node)
    model.graph.initializer.extend(graph.initializer)
    model.graph.input.extend(graph.input)
    model.graph.output.extend(graph.output)
    assert refusals(model)["onnxruntime:int8"] is None


def test_int8_with_nothing_to_quantise_is_refused() -> None:
    found = refusals(relu_model())
    assert found["onnxruntime:int8"] == "the model has no operator that INT8 makes faster"
    assert found["openvino:int8"] == "the model has no operator that INT8 makes faster"


def test_int8_of_an_old_opset_is_tried_by_onnxruntime() -> None:
    model = conv_model()
    model.opset_import[0].version = 12
    assert refusals(model)["onnxruntime:int8"] is None


def test_classical_models_are_for_onnxruntime_alone() -> None:
    found = refusals(tree_model())
    assert found["onnxruntime:fp32"] is None
    assert found["openvino:fp32"] == "cannot read ai.onnx.ml.TreeEnsembleRegressor"


def test_engine_the_profile_lacks_is_refused() -> None:
    found = refusals(conv_model(), profile_of(engines={"onnxruntime": ["fp32"]}))
    assert found["openvino:fp32"] == "box does not run openvino"
    assert found["onnxruntime:int8"] == "box gains nothing from int8 on onnxruntime (fp32)"
    assert found["onnxruntime:fp32"] is None


def test_only_what_was_asked_for_is_planned() -> None:
    offered = [Planned(target=target_from_token(t)) for t in ("a:int8", "a:fp32", "b:fp32")]
    profile = profile_of(engines={"a": ["fp32", "int8"], "b": ["fp32"]})
    asked = [target_from_token("b:fp32"), target_from_token("a:int8")]
    found = plan(offered, profile, calibrated=True, only=asked)
    assert [p.target.token for p in found] == ["a:int8", "b:fp32"]


def test_target_nobody_offers_is_an_error_with_the_nearest() -> None:
    offered = [Planned(target=target_from_token("openvino:int8"))]
    with pytest.raises(ConfigurationError, match="no backend offers 'opnvino:int8'") as caught:
        plan(offered, profile_of(), calibrated=True, only=[target_from_token("opnvino:int8")])
    assert caught.value.hint == "did you mean 'openvino:int8'?"


def test_missing_toolchain_is_the_reason_and_marked() -> None:
    backend = Fake(Missing(name="fake", reason="package fakec is not installed"))
    (found,) = offers({"fake": backend}, source_of(relu_model()), profile_of())
    assert found.refusal == "toolchain missing: package fakec is not installed"
    assert found.toolchain_missing


def test_missing_toolchain_is_not_marked_where_the_profile_would_not_run_it_anyway() -> None:
    backend = Fake(Missing(name="fake", reason="package fakec is not installed"))
    profile = profile_of()
    offered = offers({"fake": backend}, source_of(relu_model()), profile)
    (found,) = plan(offered, profile, calibrated=True)
    assert (found.refusal, found.toolchain_missing) == ("box does not run fake", False)


def test_backend_that_fails_to_answer_is_refused_with_what_it_said() -> None:
    backend = Fake(Toolchain(versions={}), ValueError("no idea"))
    (found,) = offers({"fake": backend}, source_of(relu_model()), profile_of())
    assert found.refusal == "the backend failed: ValueError: no idea"


def test_backend_that_cannot_be_loaded_offers_nothing() -> None:
    lost = {"lost": Missing(name="lost", reason="ImportError: x")}
    assert offers(lost, source_of(relu_model()), profile_of()) == ()


def test_planning_loads_no_toolchain(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(conv_model().SerializeToString())
    script = (
        "import sys; from pathlib import Path\n"
        "from insight_edge.compile.plugins.discovery import backends\n"
        "from insight_edge.compile.targets.plan import offers, plan\n"
        "from insight_edge.compile.reading import read_source\n"
        "from tests.fakes.hardware import profile_of\n"
        "p = profile_of()\n"
        "s = read_source(Path(sys.argv[1]))\n"
        "print(len(plan(offers(backends(), s, p), p, calibrated=True)) >= 7)\n"
        "print(sorted({'onnxruntime', 'openvino', 'nncf', 'torch', 'sklearn'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "m.onnx"],
        cwd=Path(__file__).parents[3],
        check=True,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.split("\n")[:2] == ["True", "[]"]
