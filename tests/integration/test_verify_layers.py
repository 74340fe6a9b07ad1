# SPDX-License-Identifier: Apache-2.0
"""A fault in one layer of an artifact is found, and that layer is named."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.bundle.write import file_entry
from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.layers.layer_report import LayerReport
from insight_edge.compile.layers.layerwise import layer_report
from insight_edge.compile.plugins.discovery import backends
from insight_edge.compile.quantize.calibration import write_calibration
from insight_edge.compile.sources.source import source_from_onnx
from insight_edge.compile.trials.package import Part, package
from insight_edge.compile.trials.question import ask
from insight_edge.documents.evidence import Evidence
from insight_edge.documents.facts import Facts, Missing
from insight_edge.documents.manifest import Provenance
from insight_edge.documents.target import target_from_token
from insight_edge.errors import ConfigurationError
from insight_edge.runtime.processor import isa_extensions
from tests.fakes.device_packages import device_python
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import conv_model
from tests.fakes.programs import insight_edge
from tests.fakes.sources import source_of, table_model

pytestmark = pytest.mark.slow

Damage = Callable[[Path], None]
SOURCE = source_from_onnx(conv_model().SerializeToString(), name="conv", importer="onnx")
FACTS = Facts(arch="x86_64", cpu_model="c", isa=(), cores=1, memory_bytes=1, os="linux")
EVIDENCE = Evidence(
    model_digest=SOURCE.digest, profile="box", measured_on=FACTS, trials=(), created="now"
)


def weights() -> NDArray[np.float32]:
    """Return those of the second convolution."""
    model = onnx.load_from_string(SOURCE.data)
    found = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    return np.asarray(found["w2"], dtype=np.float32)


def turn_bytes(path: Path, before: NDArray[np.float32]) -> None:
    """Turn the sign of an array that lies in a file as it is."""
    data = path.read_bytes()
    assert data.count(before.tobytes()) == 1
    path.write_bytes(data.replace(before.tobytes(), (-before).tobytes()))


def turn_channels_last(path: Path) -> None:
    turn_bytes(path, np.ascontiguousarray(weights().transpose(0, 2, 3, 1)))


def turn_quantised(path: Path) -> None:
    model: ModelProto = onnx.load(path)
    tensor = next(t for t in model.graph.initializer if t.name == "w2_quantized")
    tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, path)


CASES: dict[str, tuple[str, Damage, set[str]]] = {
    "onnxruntime:fp32": ("onnxruntime-fp32.onnx", lambda p: turn_bytes(p, weights()), {"r2"}),
    "onnxruntime:int8": ("onnxruntime-int8.onnx", turn_quantised, {"r2"}),
    "openvino:fp32": ("openvino-fp32.bin", lambda p: turn_bytes(p, weights()), {"c2"}),
    "tflite:fp32": ("tflite-fp32.tflite", turn_channels_last, {"r2"}),
}


@pytest.fixture(scope="module", params=list(CASES))
def bundles(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Path]:
    """Return a target, and bundles of a sound artifact of it and of one with a fault."""
    token: str = request.param
    target, folder = target_from_token(token), tmp_path_factory.mktemp("layers")
    backend = backends()[target.backend]
    assert not isinstance(backend, Missing)
    toolchain = backend.toolchain()
    if isinstance(toolchain, Missing):
        pytest.skip(f"{toolchain.name}: {toolchain.reason}")
    if device_python(target.backend) is None:
        pytest.skip(f"the environment 'device-{target.backend}' is not installed")
    rows = np.random.default_rng(0).normal(size=(16, 3, 16, 16)).astype(np.float32)
    calibration = write_calibration(SOURCE, {"x": rows}, folder)
    # Without AVX-512 in the profile weights keep their order, so that the test finds them.
    isa = [name for name in isa_extensions() if not name.startswith("avx512")]
    job = prepare_job(SOURCE, target, profile_of(isa=isa), folder, calibration=calibration)
    built = build(job, folder / "build", python=toolchain.python)
    assert isinstance(built, Built), built
    file, damage, _ = CASES[token]
    damaged = folder / "damaged"
    shutil.copytree(built.directory, damaged)
    damage(damaged / file)
    files = tuple(file_entry(f.path, damaged / f.path) for f in built.files)
    question = ask(SOURCE, None)
    places = []
    for name, one in (("sound", built), ("fault", replace(built, directory=damaged, files=files))):
        part = Part(target=target, built=one)
        package(folder / name, SOURCE, question, EVIDENCE, [part], Provenance())
        places.append(folder / name)
    return token, places[0], places[1]


def report_of(place: Path) -> LayerReport:
    bundle: Bundle = open_bundle(place, allow_unsigned=True)
    return layer_report(bundle, bundle.manifest.variants[0], SOURCE)


def test_sound_artifact_has_no_layer_that_diverges(bundles: tuple[str, Path, Path]) -> None:
    report = report_of(bundles[1])
    errors = report.errors
    assert (report.first, report.found) == (None, "read")
    assert {"r2", "logits"} <= {error.tensor for error in errors}
    least = 20.0 if "int8" in bundles[0] else 90.0
    assert min(error.sqnr_db for error in errors) > least


def test_layer_with_a_fault_is_the_first_named(bundles: tuple[str, Path, Path]) -> None:
    first = report_of(bundles[2]).first
    assert first is not None
    assert first.tensor in CASES[bundles[0]][2]


def test_verb_names_the_layer_and_inspect_what_is_executed(
    bundles: tuple[str, Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "conv.onnx").write_bytes(SOURCE.data)
    token, sound, fault = bundles
    ask_ = ("verify", "--layers", "--model", "conv.onnx")
    done = insight_edge(*ask_, fault, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "the first to diverge is" in done.stderr
    assert "(tensor '" in done.stderr
    told = insight_edge(*ask_, sound, "--format", "json", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    (found,) = json.loads(told.stdout).values()
    assert found["first"] is None
    assert {one["op"] for one in found["compared"]} >= {"Relu", "Gemm"}
    seen = insight_edge("inspect", sound, "--format", "json", cwd=tmp_path)
    (layers,) = json.loads(seen.stdout)["layers"].values()
    precision = "int8" if "int8" in token else "fp32"
    assert any(layer["precision"] == precision for layer in layers)
    assert all(layer["placement"] for layer in layers)


def test_layers_need_the_model_that_was_compiled(bundles: tuple[str, Path, Path]) -> None:
    bundle = open_bundle(bundles[1], allow_unsigned=True)
    with pytest.raises(ConfigurationError, match="was made of model"):
        layer_report(bundle, bundle.manifest.variants[0], source_of(table_model()))
