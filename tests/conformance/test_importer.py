# SPDX-License-Identifier: Apache-2.0
"""What every importer must do, whoever wrote it."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from insight_edge.compile.plugins.discovery import importers
from insight_edge.compile.plugins.seam import Importer
from insight_edge.compile.sources.source import SourceModel
from insight_edge.documents.codec import digest
from insight_edge.documents.facts import Missing
from insight_edge.errors import ModelError
from tests.fakes.frameworks import FRAMEWORKS, made_apart
from tests.fakes.onnx_models import conv_model

pytestmark = pytest.mark.slow

Sample = tuple[Path, np.ndarray, np.ndarray]


def onnx_sample(directory: Path) -> Sample:
    model = conv_model().SerializeToString()
    (directory / "m.onnx").write_bytes(model)
    rows = np.random.default_rng(0).normal(size=(3, 3, 16, 16)).astype(np.float32)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return directory / "m.onnx", rows, session.run(None, {"x": rows})[0]


def torch_sample(directory: Path) -> Sample:
    import torch

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.GELU(), torch.nn.Linear(8, 3)).eval()
    rows = torch.randn(3, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = torch.export.Dim("batch", min=1, max=64)
        program = torch.export.export(net, (torch.randn(2, 6),), dynamic_shapes=({0: batch},))
        torch.export.save(program, directory / "m.pt2")
    return directory / "m.pt2", rows.numpy(), net(rows).detach().numpy()


def sklearn_sample(directory: Path) -> Sample:
    import joblib
    from sklearn.ensemble import RandomForestRegressor

    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    forest = RandomForestRegressor(4, random_state=0).fit(rows, rows.sum(axis=1))
    joblib.dump(forest, directory / "m.joblib")
    return directory / "m.joblib", rows[:3], forest.predict(rows[:3])[:, None]


def apart(token: str) -> Callable[[Path], Sample]:
    """Return what makes a sample in the environment of the framework."""

    def sample(directory: Path) -> Sample:
        path = made_apart(token, directory / f"m{FRAMEWORKS[token].suffix}")
        with np.load(directory / "rows.npz") as held:
            return path, held["rows"], held["answers"]

    return sample


SAMPLES: dict[str, Callable[[Path], Sample]] = {
    "onnx": onnx_sample,
    "torch": torch_sample,
    "sklearn": sklearn_sample,
    **{token: apart(token) for token in FRAMEWORKS},
}


@pytest.fixture(params=sorted(importers()))
def token(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def importer(token: str) -> Importer:
    found = importers()[token]
    if isinstance(found, Missing):
        pytest.skip(f"{token} cannot be loaded: {found.reason}")
    return found


@pytest.fixture
def sample(token: str, tmp_path: Path) -> Sample:
    if token not in SAMPLES:
        pytest.skip(f"no sample of a {token} file is known here")
    return SAMPLES[token](tmp_path)


def test_it_accepts_its_own_files_and_nobody_elses(importer: Importer, sample: Sample) -> None:
    assert importer.accepts(sample[0])
    assert not importer.accepts(sample[0].with_suffix(".doc"))
    others = [i for i in importers().values() if not isinstance(i, Missing)]
    assert sum(other.accepts(sample[0]) for other in others) == 1


@pytest.mark.parametrize("held", [b"", b"garbage", b"{" * 10_000, None])
def test_accepting_never_raises_whatever_is_there(
    held: bytes | None, importer: Importer, sample: Sample
) -> None:
    sample[0].unlink()
    if held is not None:
        sample[0].write_bytes(held)
    assert importer.accepts(sample[0]) in {True, False}
    sample[0].unlink(missing_ok=True)
    sample[0].mkdir()
    assert importer.accepts(sample[0]) in {True, False}


def test_what_it_reads_answers_like_the_original(
    token: str, importer: Importer, sample: Sample
) -> None:
    path, rows, expected = sample
    source = importer.read(path, trust_pickle=True)
    assert isinstance(source, SourceModel)
    assert (source.name, source.importer) == ("m", token)
    assert source.digest == digest(source.data)
    (spec,) = source.workload.inputs
    assert (spec.dtype, len(spec.shape)) == (str(rows.dtype), rows.ndim)
    session = onnxruntime.InferenceSession(source.data, providers=["CPUExecutionProvider"])
    found = session.run([source.workload.outputs[-1].name], {spec.name: rows})[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_reading_twice_gives_the_same_model(importer: Importer, sample: Sample) -> None:
    first, second = (importer.read(sample[0], trust_pickle=True) for _ in range(2))
    assert first.digest == second.digest


def test_garbage_is_a_model_error_in_one_line(importer: Importer, sample: Sample) -> None:
    sample[0].write_bytes(b"garbage \x00\xff" * 10)
    with pytest.raises(ModelError) as caught:
        importer.read(sample[0], trust_pickle=True)
    assert "\n" not in str(caught.value)
