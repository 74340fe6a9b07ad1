# SPDX-License-Identifier: Apache-2.0
"""What every backend must do, whoever wrote it: build in a child, tell the truth, repeat itself."""

import json
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from insight_edge.bundle.write import file_entry
from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import BuildOutcome, Built, Failed
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.job import BuildJob
from insight_edge.compile.plugins.discovery import backend_plugin, backends
from insight_edge.compile.quantize.calibration import Calibration, write_calibration
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.compile.targets.plan import needs_rows
from insight_edge.documents.facts import Missing
from insight_edge.documents.target import Target, target_from_token
from insight_edge.runtime.loading import engine_facts
from insight_edge.runtime.processor import isa_extensions
from tests.fakes.device_packages import device_python
from tests.fakes.hardware import GPU, profile_of
from tests.fakes.onnx_models import conv_model
from tests.fakes.tvm_models import tvm_answers

pytestmark = pytest.mark.slow

Rows = NDArray[np.float32]
Builds = Callable[[Target], tuple[BuildJob, Built, Built]]
TARGETS = [
    target
    for backend in backends().values()
    if not isinstance(backend, Missing)
    for target in backend.targets()
]
MAX_ERROR = {"fp32": 1e-5, "bf16": 5e-2, "fp16": 5e-2, "int8": 1e-1}
"""Relative L2 error on a small net with random weights, far below what a wrong graph gives."""


@pytest.fixture(scope="module")
def source() -> SourceModel:
    return source_from_onnx(conv_model().SerializeToString(), name="m", importer="onnx")


@pytest.fixture(scope="module")
def rows() -> Rows:
    return np.random.default_rng(0).normal(size=(64, 3, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def calibration(
    source: SourceModel, rows: Rows, tmp_path_factory: pytest.TempPathFactory
) -> Calibration:
    return write_calibration(source, {"x": rows[:32]}, tmp_path_factory.mktemp("calibration"))


@pytest.fixture(params=TARGETS, ids=lambda target: target.token)
def target(request: pytest.FixtureRequest) -> Any:
    toolchain = _backend(request.param).toolchain()
    if isinstance(toolchain, Missing):
        pytest.skip(f"{toolchain.name}: {toolchain.reason}")
    return request.param


def _backend(target: Target) -> Any:
    return backends()[target.backend]


def built(job: BuildJob, directory: Path) -> BuildOutcome:
    """Build where the toolchain is."""
    return build(job, directory, python=_backend(job.target).toolchain().python)


def job_for(
    target: Target, source: SourceModel, calibration: Calibration, directory: Path
) -> BuildJob:
    """Return a job for the processor of this very machine, with what BF16 asks for claimed."""
    profile = profile_of(isa=(*isa_extensions(), "avx512_bf16"), accelerators=[GPU])
    return prepare_job(source, target, profile, directory, calibration=calibration)


@pytest.fixture(scope="module")
def builds(
    source: SourceModel, calibration: Calibration, tmp_path_factory: pytest.TempPathFactory
) -> Builds:
    """Build a target twice, the first time it is asked for."""

    @cache
    def build_twice(token: str) -> tuple[BuildJob, Built, Built]:
        directory = tmp_path_factory.mktemp("build")
        job = job_for(target_from_token(token), source, calibration, directory)
        first, second = built(job, directory / "a"), built(job, directory / "b")
        assert isinstance(first, Built), first
        assert isinstance(second, Built), second
        return job, first, second

    return lambda target: build_twice(target.token)


def test_targets_are_its_own_and_differ(target: Target) -> None:
    offered = _backend(target).targets()
    assert {t.backend for t in offered} == {target.backend}
    assert len({t.token for t in offered}) == len(offered)


def test_toolchain_names_versions(target: Target) -> None:
    toolchain = _backend(target).toolchain()
    assert toolchain.versions
    assert all(version[0].isdigit() for version in toolchain.versions.values())
    assert Path(toolchain.python).exists()


def test_small_convolutional_net_is_not_refused(target: Target, source: SourceModel) -> None:
    isa = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16")
    profile = profile_of(isa=isa, accelerators=[GPU])
    assert _backend(target).refuse(source, target, profile) is None


def test_progress_reaches_the_log_and_not_us(
    target: Target, builds: Builds, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before all others that build: what is built already says nothing."""
    builds(target)
    assert capfd.readouterr() == ("", "")


def test_artifact_is_what_it_says(target: Target, builds: Builds) -> None:
    job, outcome, _ = builds(target)
    artifact = outcome.artifact
    assert artifact.entry in artifact.files
    assert sorted(p.name for p in outcome.directory.iterdir()) == sorted(artifact.files)
    assert [f.path for f in outcome.files] == list(artifact.files)
    assert all(file_entry(f.path, outcome.directory / f.path) == f for f in outcome.files)
    assert set(artifact.isa) <= set(job.isa)
    assert artifact.engine_versions.startswith(">=")


def test_artifacts_of_all_targets_lie_in_one_bundle(target: Target, builds: Builds) -> None:
    mine = set(builds(target)[1].artifact.files)
    for other in TARGETS:
        if other != target and not isinstance(_backend(other).toolchain(), Missing):
            assert not mine & set(builds(other)[1].artifact.files)


def test_same_job_gives_the_same_bytes(target: Target, builds: Builds) -> None:
    _, first, second = builds(target)
    assert first.files == second.files


def test_artifact_answers_like_the_source(
    target: Target, source: SourceModel, rows: Rows, builds: Builds
) -> None:
    _, outcome, _ = builds(target)
    entry, settings = outcome.directory / outcome.artifact.entry, outcome.artifact.settings
    found = RUNNERS[target.backend](entry, settings, rows[32:])
    wanted = run_onnxruntime(source.data, {"optimized": "no"}, rows[32:])
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    assert error <= MAX_ERROR[target.precision]


@pytest.mark.parametrize(
    "target", [t for t in TARGETS if needs_rows(t)], ids=lambda t: t.token, indirect=True
)
def test_job_without_its_rows_fails_with_a_reason(
    target: Target, source: SourceModel, tmp_path: Path
) -> None:
    job = prepare_job(source, target, profile_of(accelerators=[GPU]), tmp_path)
    outcome = built(job, tmp_path / "b")
    assert isinstance(outcome, Failed)
    assert "rows to calibrate with" in outcome.reason


def test_plugin_is_named_as_a_child_imports_it(target: Target) -> None:
    module, _, name = backend_plugin(target.backend).partition(":")
    assert type(_backend(target)).__module__ == module
    assert type(_backend(target)).__name__ == name


def run_onnxruntime(model: Path | bytes, settings: Mapping[str, str], rows: Rows) -> Rows:
    options = onnxruntime.SessionOptions()
    if settings["optimized"] == "yes":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    file = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    answers: Rows = session.run(None, {"x": rows})[0]
    return answers


def run_openvino(model: Path, settings: Mapping[str, str], rows: Rows) -> Rows:
    import openvino

    compiled = openvino.Core().compile_model(model, "CPU", dict(settings))
    answers: Rows = compiled({"x": rows})[compiled.output(0)]
    return answers


def run_tensorrt(model: Path, settings: Mapping[str, str], rows: Rows) -> Rows:
    facts = engine_facts()["tensorrt"]
    if isinstance(facts, Missing):
        pytest.skip(f"built, not executed: {facts.reason}")
    from insight_edge.runtime.engines.tensorrt import open_plan
    from insight_edge.runtime.engines.tensorrt_flavours import flavour_of

    session = open_plan(model, flavour_of(settings), ["logits"], threads=1)
    answers: Rows = session.infer({"x": rows})["logits"]
    session.close()
    return answers


def run_tflite(model: Path, settings: Mapping[str, str], rows: Rows) -> Rows:
    """Ask the device's own environment: no workshop has this engine."""
    python = device_python("tflite")
    if python is None:
        pytest.skip("the environment 'device-tflite' is not installed")
    asked, answered = model.parent.parent / "rows.npy", model.parent.parent / "answers.npy"
    np.save(asked, rows)
    code = (
        "import json, sys; from pathlib import Path; import numpy as np\n"
        "from insight_edge.documents.tensors import TensorSpec\n"
        "from insight_edge.runtime.engines.tflite import open_file\n"
        "x = TensorSpec(name='x', dtype='float32', shape=('batch', 3, 16, 16))\n"
        "y = TensorSpec(name='logits', dtype='float32', shape=('batch', 10))\n"
        "model, settings, asked, answered = sys.argv[1:]\n"
        "session = open_file(Path(model), [x], [y], json.loads(settings), threads=1)\n"
        "np.save(answered, session.infer({'x': np.load(asked)})['logits'])\n"
    )
    arguments = [str(model), json.dumps(dict(settings)), str(asked), str(answered)]
    subprocess.run([python, "-c", code, *arguments], check=True)
    answers: Rows = np.load(answered)
    return answers


def run_tvm(model: Path, settings: Mapping[str, str], rows: Rows) -> Rows:
    answers: Rows = tvm_answers(model, settings, {"x": rows}, ["logits"])["logits"]
    return answers


RUNNERS: dict[str, Any] = {
    "onnxruntime": run_onnxruntime,
    "openvino": run_openvino,
    "tensorrt": run_tensorrt,
    "tflite": run_tflite,
    "tvm": run_tvm,
}
