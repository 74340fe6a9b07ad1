# SPDX-License-Identifier: Apache-2.0
"""What is built for a Raspberry Pi here answers under emulation as it does on this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, helper

from insight_edge.bench.machine import machine_facts
from insight_edge.bench.subject import SubjectProcess
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.bundle.open import open_bundle
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.builds import build_all
from insight_edge.compile.plugins.discovery import backends
from insight_edge.compile.profiles.reading import find_profile
from insight_edge.compile.quantize.calibration import write_calibration
from insight_edge.compile.rows.samples import Samples, read_samples
from insight_edge.compile.settings import Settings
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.compile.targets.emulation import ROOT_VARIABLE
from insight_edge.compile.trials.package import Part, package
from insight_edge.compile.trials.question import Question, ask
from insight_edge.documents.evidence import Evidence
from insight_edge.documents.facts import Missing
from insight_edge.documents.manifest import Provenance
from insight_edge.documents.target import target_from_token
from tests.fakes.arm import emulated
from tests.fakes.device_packages import device_python
from tests.fakes.onnx_models import conv_model, model_of, value, weights_of
from tests.fakes.programs import insight_edge, remarks

pytestmark = pytest.mark.slow

PI = "rpi5-8gb"

OF_ROUNDING = 1e-5
"""Share of the largest answer by which FP32 may differ: other orders of the same sums."""

OF_A_STEP = 0.02
"""The same of INT8: a step of the last layer, here 1/127 to 1/255 of its range, is rounded the
other way now and then, and so are those before it."""


def dense_model() -> ModelProto:
    """Two dense layers on (batch, 12)."""
    return model_of(
        [
            helper.make_node("Gemm", ["x", "w1"], ["h"], transB=1),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("Gemm", ["r", "w2"], ["logits"], transB=1),
        ],
        [value("x", ("batch", 12))],
        [value("logits", ("batch", 5))],
        weights_of(0, w1=(32, 12), w2=(5, 32)),
    )


MODELS: dict[str, tuple[Callable[[], ModelProto], tuple[int, ...]]] = {
    "cnn": (conv_model, (3, 16, 16)),
    "mlp": (dense_model, (12,)),
}


def read(name: str, place: Path, rows: int) -> tuple[SourceModel, Samples]:
    """Write a model and its samples to a folder, and return both as the compiler has them."""
    make, shape = MODELS[name]
    (place / "m.onnx").write_bytes(make().SerializeToString())
    drawn = np.random.default_rng(0).normal(size=(rows, *shape)).astype(np.float32)
    (place / "rows.npz").write_bytes(npz_from_arrays({"x": drawn}))
    source = source_from_onnx(make().SerializeToString(), name="m", importer="onnx")
    return source, read_samples(place / "rows.npz", source.described.inputs)


def drafted(
    source: SourceModel, samples: Samples, token: str, place: Path, cache: Path
) -> tuple[Path, Question]:
    """Build a target for the Pi and return the bundle that it alone is in."""
    target, profile = target_from_token(token), find_profile(PI)
    (place / "build").mkdir()
    calibration = write_calibration(source, samples.calibration(), place)
    job = prepare_job(source, target, profile, place / "build", calibration=calibration)
    built = build_all([job], cache, Settings())[token]
    assert isinstance(built, Built), built
    question = ask(source, samples)
    evidence = Evidence(
        model_digest=source.digest, profile=PI, measured_on=machine_facts(), trials=(), created=""
    )
    part = Part(target=target, built=built)
    package(place / "b", source, question, evidence, [part], Provenance())
    return place / "b", question


def answers_here(bundle: Path, token: str, question: Question) -> NDArray[Any]:
    """Return what this machine answers, by the artifact itself where that can be.

    ONNX Runtime sums bytes in 16 bits on x86 without VNNI, where they do not fit, and the artifact
    is not for x86: its INT8 is asked without optimisations, which computes what it says.
    """
    engine = token.partition(":")[0]
    if token == "onnxruntime:int8":
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(bundle / "onnxruntime-int8.onnx", options)
        return np.asarray(session.run(["logits"], question.golden_rows)[0])
    python = device_python(engine)
    if engine == "tvm" or python is None:  # tvm's artifact is code of that processor
        return question.golden_answers["logits"]
    with SubjectProcess(bundle, threads=2, python=python) as subject:
        return subject.answer(question.golden_rows)["logits"]


@pytest.mark.parametrize("name", ["cnn", "mlp"])
@pytest.mark.parametrize(
    "token",
    ["onnxruntime:fp32", "onnxruntime:int8", "tflite:fp32", "tflite:int8", "tvm:fp32"],
)
def test_artifact_answers_under_emulation_as_it_does_here(
    name: str, token: str, tmp_path: Path, builds: Path
) -> None:
    engine = token.partition(":")[0]
    pi = emulated(PI, tmp_path / "seen", engine)
    toolchain = getattr(backends()[engine], "toolchain")()  # noqa: B009 (it may be Missing)
    if isinstance(toolchain, Missing):
        pytest.skip(toolchain.reason)
    source, samples = read(name, tmp_path, 100)
    bundle, question = drafted(source, samples, token, tmp_path, builds)
    with SubjectProcess(bundle, threads=2, python=pi.interpreter(engine)) as subject:
        there = subject.answer(question.golden_rows)
        assert subject.loaded.call_s == 0
        with pytest.raises(ValueError, match="says nothing about the machine"):
            subject.block(1)
    here = answers_here(bundle, token, question)
    largest = float(np.abs(here).max())
    allowed = largest * (OF_A_STEP if "int8" in token else OF_ROUNDING)
    assert np.abs(there["logits"] - here).max() <= allowed


def test_bundle_for_a_pi_comes_of_one_command_and_says_how_it_was_proven(tmp_path: Path) -> None:
    emulated("rpi4-4gb", tmp_path / "seen", "onnxruntime")
    read("mlp", tmp_path, 700)
    done = insight_edge(
        "compile", "-m", "m.onnx", "--profile", "rpi4-4gb", "--calibration", "rows.npz",
        "--target", "onnxruntime:fp32", "--target", "onnxruntime:int8",
        "--target", "openvino:fp32", "-o", "b",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    bundle = open_bundle(tmp_path / "b", allow_unsigned=True)
    assert [variant.name for variant in bundle.manifest.variants] == ["onnxruntime-fp32"]
    trials = {trial.target.token: trial for trial in bundle.evidence().trials}
    won = trials["onnxruntime:fp32"]
    assert won.emulated.startswith("qemu-aarch64 ")
    assert won.emulated.endswith(" as cortex-a72")
    assert won.proof is not None
    assert won.proof.verdict == "PROVEN"
    assert (won.measurement, won.unexecuted) == (None, "")
    assert won.prediction is not None
    assert "nothing was measured on this processor" in won.prediction.method
    assert "no dot product instructions" in trials["onnxruntime:int8"].reason
    assert "under emulation" in trials["openvino:fp32"].reason
    assert "predicted" in done.stdout


def test_without_an_emulator_artifacts_are_built_and_none_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulated("rpi4-4gb", tmp_path / "seen")
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "none"))
    read("mlp", tmp_path, 100)
    done = insight_edge(
        "compile", "-m", "m.onnx", "--profile", "rpi4-4gb", "--target", "onnxruntime:fp32",
        "--accept-unproven", "-o", "b",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    (error,) = remarks(done.stderr)
    assert "built, not executed: this machine is" in error
    assert "(make arm-root)" in error
    assert "not executed" in done.stdout
    assert not (tmp_path / "b").exists()
