# SPDX-License-Identifier: Apache-2.0
"""Programs of PyTorch become `.tflite` files without a way through ONNX, and answer as they do."""

import subprocess
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import helper
from torch import Tensor, nn

from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.compile.backends.tflite import WHOLE, TfLiteBackend
from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import BuildOutcome, Built, Failed
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.quantize.calibration import Calibration
from insight_edge.compile.reading import read_source
from insight_edge.compile.sources.source import Original, SourceModel, source_from_onnx
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.manifest import Io
from insight_edge.documents.target import target_from_token
from insight_edge.errors import ToolchainMissingError
from tests.fakes.device_packages import device_python
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import model_of, value
from tests.fakes.tflite_builds import ASK

pytestmark = pytest.mark.slow

ROWS = 4
TFIDF = {
    "mode": "TF",
    "min_gram_length": 1,
    "max_gram_length": 1,
    "max_skip_count": 0,
    "ngram_counts": [0],
    "ngram_indexes": [0, 1],
    "pool_int64s": [2, 3],
}


class Images(nn.Module):
    """Channels, height and width of one size: shapes do not tell which axis is which."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(8, 8, 3, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.deep(torch.relu(self.wide(x))))


class Words(nn.Module):
    """Whole numbers, steps, a tensor by name, and two answers of unlike types."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 6)
        self.steps = nn.LSTM(6, 5, batch_first=True)

    def forward(self, ids: Tensor, *, scale: Tensor) -> dict[str, Tensor]:
        found, _ = self.steps(self.table(ids))
        return {"last": found[:, -1] * scale, "top": found[:, -1].argmax(-1)}


def saved(place: Path, module: nn.Module, *given: Tensor, **named: Tensor) -> Path:
    batch = torch.export.Dim("batch", min=1, max=64)
    free = (*({0: batch} for _ in given), *({0: batch} for _ in named))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module.eval(), given, named, dynamic_shapes=free)
        torch.export.save(program, place)
    return place


def images(place: Path) -> Path:
    return saved(place, Images(), torch.randn(ROWS, 8, 8, 8))


def words(place: Path) -> Path:
    return saved(place, Words(), torch.randint(0, 7, (ROWS, 9)), scale=torch.rand(ROWS, 1))


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    try:
        environment_python(f"toolchain-{WHOLE}")
    except ToolchainMissingError as error:
        pytest.skip(f"{error} ({error.hint})")


def fed_to(source: SourceModel) -> dict[str, np.ndarray]:
    random, fed = np.random.default_rng(1), {}
    for spec in source.workload.inputs:
        shape = tuple(ROWS if isinstance(size, str) else size for size in spec.shape)
        ids, floats = random.integers(0, 7, shape), random.normal(size=shape)
        fed[spec.name] = (ids if spec.dtype == "int64" else floats).astype(spec.dtype)
    return fed


def built(source: SourceModel, place: Path, target: str = "tflite:fp32") -> BuildOutcome:
    toolchain = TfLiteBackend().toolchain()
    assert isinstance(toolchain, Toolchain)
    assert "litert-torch" in toolchain.versions
    calibration = None
    if target.startswith("tflite:int8"):
        rows = place / "rows.npz"
        rows.write_bytes(npz_from_arrays(fed_to(source)))
        calibration = Calibration(path=rows, digest=digest(rows.read_bytes()))
    asked = target_from_token(target)
    job = prepare_job(source, asked, profile_of(), place, calibration=calibration)
    return build(job, place / target.replace(":", "-"), python=toolchain.python)


def input_names(outcome: BuildOutcome) -> list[str]:
    """Return what the file calls its inputs: each converter has names of its own."""
    assert isinstance(outcome, Built), outcome
    settings = outcome.artifact.settings
    return sorted(name for key, name in settings.items() if key.startswith("input."))


@pytest.mark.parametrize("make", [images, words])
def test_file_answers_as_the_program(make: Callable[[Path], Path], tmp_path: Path) -> None:
    python = device_python("tflite")
    if python is None:
        pytest.skip("the environment 'device-tflite' is not installed")
    source = read_source(make(tmp_path / "program.pt2"))
    outcome = built(source, tmp_path)
    names = [f"serving_default_args_{place}" for place in range(len(source.workload.inputs))]
    assert input_names(outcome) == names
    assert isinstance(outcome, Built)
    inputs, outputs = source.workload.inputs, source.workload.outputs
    io = Io(inputs=inputs, outputs=outputs, model_inputs=inputs, model_outputs=outputs)
    place, fed = outcome.directory.parent, fed_to(source)
    (place / "io.json").write_bytes(encode_json(io))
    (place / "fed.npz").write_bytes(npz_from_arrays(fed))
    subprocess.run([python, "-c", ASK, str(place)], check=True)
    session = onnxruntime.InferenceSession(source.data)
    wanted = dict(zip([o.name for o in outputs], session.run(None, fed), strict=True))
    first = np.load(place / "first.npz")
    assert set(first.files) == wanted.keys()
    for name, answer in wanted.items():
        assert first[name].dtype == answer.dtype
        np.testing.assert_allclose(first[name], answer, atol=1e-5)


@pytest.mark.parametrize("make", [images, words])
def test_other_precisions_are_made_from_it(make: Callable[[Path], Path], tmp_path: Path) -> None:
    source = read_source(make(tmp_path / "program.pt2"))
    asked = ["tflite:fp32", "tflite:fp16", "tflite:int8+dynamic"]
    if make is images:  # what has steps is refused in static INT8
        asked.append("tflite:int8")
    for target in asked:
        assert TfLiteBackend().refuse(source, target_from_token(target), profile_of()) is None
        outcome = built(source, tmp_path, target)
        assert input_names(outcome)[0] == "serving_default_args_0", target


def test_what_it_cannot_convert_takes_the_way_through_onnx(tmp_path: Path) -> None:
    source = read_source(images(tmp_path / "program.pt2"))
    source = replace(source, original=Original(form="torch", data=b"PK and no program"))
    outcome = built(source, tmp_path)
    assert input_names(outcome) == ["model_input_0"]
    assert isinstance(outcome, Built)
    assert "litert-torch does not convert it" in outcome.log


def counted_words() -> SourceModel:
    """Return a program with an operator that onnx2tf does not know."""
    node = helper.make_node("TfIdfVectorizer", ["x"], ["y"], **TFIDF)
    face = [value("x", ("batch", 4), kind=7)], [value("y", ("batch", 2))]
    model = model_of([node], *face).SerializeToString()
    source = source_from_onnx(model, name="m", importer="torch")
    return replace(source, original=Original(form="torch", data=b"PK and no program"))


def test_who_converts_nothing_of_it_says_why_each_does_not(tmp_path: Path) -> None:
    outcome = built(counted_words(), tmp_path)
    assert isinstance(outcome, Failed)
    assert "litert-torch does not convert it" in outcome.reason
    assert "through ONNX: " in outcome.reason


def test_operators_that_only_onnx2tf_lacks_do_not_refuse_a_program() -> None:
    source, target = counted_words(), target_from_token("tflite:fp32")
    assert TfLiteBackend().refuse(source, target, profile_of()) is None
    alone = replace(source, original=None)
    assert "TfIdfVectorizer" in str(TfLiteBackend().refuse(alone, target, profile_of()))
