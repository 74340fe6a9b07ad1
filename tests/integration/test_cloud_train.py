# SPDX-License-Identifier: Apache-2.0
"""`insight-cloud` as a program: from a train.toml to a version, and what mistakes look like."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from insight_cloud.datasets.digits import load_digits
from insight_cloud.evaluation.classification import ClassificationEvaluation
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.database import open_database
from insight_cloud.platform.errors import TrainingError
from insight_cloud.registry.service import Registry
from insight_cloud.training.images.source import onnx_from_network
from insight_edge.documents.codec import decode_json, digest
from insight_edge.documents.source import SourceDescription
from insight_edge.documents.statistics import grid_from_document, summary_from_document
from insight_edge.stats.tally import Tally
from insight_edge.transforms.executor import run
from insight_edge.transforms.features import extract

EXAMPLE = Path(__file__).parents[2] / "examples" / "train.toml"
Finished = subprocess.CompletedProcess[str]
QUICK = ("--set", "fitting.epochs=2", "--set", "data.limit=128", "--set", "network.channels=[8,16]")


def insight_cloud(*arguments: str, cwd: Path, **environment: str) -> Finished:
    return subprocess.run(
        [str(Path(sys.executable).parent / "insight-cloud"), *arguments],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


class Training:
    """One quick training through the program, and everything it left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.finished = insight_cloud(
            "train", str(EXAMPLE), *QUICK,
            "--state", "state", "--export", "export", "--format", "json",
            cwd=folder,
        )  # fmt: skip
        assert self.finished.returncode == 0, self.finished.stderr
        self.printed: dict[str, Any] = json.loads(self.finished.stdout)
        self.source = self.file("model.onnx")
        self.description = decode_json(SourceDescription, self.file("model.json"))
        self.evaluation = decode_json(ClassificationEvaluation, self.file("evaluation.json"))
        with np.load(folder / "export" / "data.npz", allow_pickle=False) as data:
            self.data = dict(data)
        with np.load(folder / "export" / "reference.npz", allow_pickle=False) as data:
            self.reference_rows = dict(data)

    def file(self, name: str) -> bytes:
        return (self.folder / "export" / name).read_bytes()

    def answer(self, images: Any) -> dict[str, Any]:
        """Run the exported model the way a device does: steps, engine, steps."""
        tensors = run(self.description.pre, {"image": images})
        session = onnxruntime.InferenceSession(self.source, providers=["CPUExecutionProvider"])
        [logits] = session.run(["logits"], {"x": tensors["x"]})
        return run(self.description.post, tensors | {"logits": logits})


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    return Training(tmp_path_factory.mktemp("training"))


@pytest.mark.slow
def test_a_training_ends_in_a_version_of_the_registry(training: Training) -> None:
    database = open_database(training.folder / "state" / "cloud.sqlite")
    registry = Registry(database, open_blobs(training.folder / "state" / "blobs"))
    version = registry.version("digits", 1)
    assert version.label == "digits:1"
    assert version.digest == training.printed["digest"] == digest(training.source)
    assert version.metrics == training.printed["metrics"]
    assert registry.artifact(version, "model.onnx") == training.source
    assert registry.artifact(version, "data.npz") == training.file("data.npz")
    database.close()


@pytest.mark.slow
def test_the_exported_description_names_the_version(training: Training) -> None:
    model = training.description.model
    assert (model.name, model.version, model.task) == ("digits", 1, "image-classification")
    assert model.digest == digest(training.source)
    assert model.classes == tuple("0123456789")
    assert [(t.name, t.dtype, t.shape) for t in training.description.inputs] == [
        ("image", "uint8", ("batch", 8, 8))
    ]
    assert [t.name for t in training.description.outputs] == ["probabilities", "class", "label"]


@pytest.mark.slow
def test_the_model_is_opset_18_with_a_free_batch_and_nothing_of_this_machine(
    training: Training,
) -> None:
    model = onnx.load_from_string(training.source)
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 18}
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param == "batch"
    assert str(EXAMPLE.parents[1]).encode() not in training.source
    for rows in (1, 3):
        answer = training.answer(np.zeros((rows, 8, 8), np.uint8))
        assert answer["probabilities"].shape == (rows, 10)


@pytest.mark.slow
def test_the_evaluation_is_what_the_exported_files_give(training: Training) -> None:
    split = load_digits().splits["validation"]
    proving = training.data["verification"]
    assert set(training.data) == {"image", "labels", "verification"}
    assert np.array_equal(training.data["image"][proving], split.inputs)
    assert np.array_equal(training.data["labels"][proving], split.labels)
    answer = training.answer(split.inputs)
    right = int((answer["class"] == split.labels).sum())
    accuracy = training.evaluation.accuracy
    assert (accuracy.successes, accuracy.total) == (right, 360)
    assert training.printed["metrics"]["accuracy"] == accuracy.value
    assert training.evaluation.split == "validation"
    assert list(answer["label"][:5]) == [str(index) for index in answer["class"][:5]]


@pytest.mark.slow
def test_rows_that_calibrate_are_training_rows_and_prove_nothing(training: Training) -> None:
    calibrating = training.data["image"][~training.data["verification"]]
    trained_on = load_digits().splits["train"].inputs
    assert 0 < len(calibrating) <= 128
    assert np.array_equal(calibrating, trained_on[: len(calibrating)])


@pytest.mark.slow
def test_the_reference_is_the_training_rows_counted_as_a_device_counts(training: Training) -> None:
    reference = training.description.reference
    assert reference is not None
    observe = training.description.observe
    images = load_digits().splits["train"].first(128).inputs
    rows = extract((*observe.inputs, *observe.outputs), training.answer(images))
    grid = grid_from_document(reference.grid)
    assert grid.names == tuple(feature.name for feature in (*observe.inputs, *observe.outputs))
    assert list(training.reference_rows["names"]) == list(grid.names)
    np.testing.assert_allclose(training.reference_rows["rows"], rows, atol=1e-6)
    tally = Tally(grid)
    tally.observe(training.reference_rows["rows"])
    counted, recorded = tally.summary(), summary_from_document(reference.summary, grid)
    assert reference.rows == recorded.count == 128
    assert np.array_equal(recorded.bins, counted.bins)
    np.testing.assert_allclose(recorded.mean(), counted.mean())


@pytest.mark.slow
def test_an_equal_training_gives_equal_bytes_and_the_next_number(training: Training) -> None:
    again = insight_cloud(
        "train", str(EXAMPLE), *QUICK, "--state", "state", "--format", "json", cwd=training.folder
    )
    assert again.returncode == 0, again.stderr
    printed = json.loads(again.stdout)
    assert printed["number"] == 2
    assert printed["artifacts"] == training.printed["artifacts"]


@pytest.mark.slow
def test_progress_goes_to_stderr_and_data_to_stdout(training: Training) -> None:
    assert "epoch 2 of 2" in training.finished.stderr
    assert "torchvision" not in training.finished.stderr
    assert "Warning" not in training.finished.stderr
    assert training.finished.stdout.startswith("{")


def test_a_users_mistake_is_one_line_a_hint_and_an_exit_code(tmp_path: Path) -> None:
    finished = insight_cloud("train", str(EXAMPLE), "--set", "fitting.epoch=1", cwd=tmp_path)
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert finished.stderr.splitlines() == [
        "error: unknown key 'fitting.epoch'",
        "hint: did you mean 'epochs'?",
    ]


class ExportsWrongly(nn.Module):
    """Computes one thing, and exports another."""

    def forward(self, x: Tensor) -> Tensor:
        offset = 1.0 if torch.compiler.is_exporting() else 1.001
        return x.flatten(1) + offset


@pytest.mark.slow
def test_an_export_that_computes_something_else_is_refused() -> None:
    images = np.zeros((4, 1, 2, 2), np.float32)
    with pytest.raises(TrainingError, match=r"differs from the trained one by up to 0\.001"):
        onnx_from_network(
            ExportsWrongly().eval(), images, input_name="x", output_name="logits", threads=1
        )
