# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from insight_cloud.datasets.dataset import Dataset
from insight_cloud.evaluation.classification import evaluate
from insight_cloud.platform.errors import TrainingError
from insight_cloud.registry.rules import ModelVersion
from insight_cloud.registry.service import Registry
from insight_cloud.training.config import DataSection, TrainConfig
from insight_cloud.training.export import export_version
from insight_cloud.training.run import run_training
from insight_cloud.training.task import Progress, Trained
from insight_edge.documents.codec import decode_json, digest
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.source import SourceDescription
from insight_edge.errors import ConfigurationError, InsightEdgeError, StorageError

CONFIG = TrainConfig(task="echo", name="digits", data=DataSection(set="digits"))
NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Echo:
    """A task that learns nothing: its model is the digest of what it was given."""

    config: ClassVar = TrainConfig

    def __init__(self, failure: Exception | None = None) -> None:
        self._failure = failure

    def train(
        self, config: TrainConfig, dataset: Dataset, progress: Callable[[Progress], None]
    ) -> Trained:
        if self._failure is not None:
            raise self._failure
        progress(Progress(epoch=1, epochs=1, loss=0.0))
        source = dataset.splits["train"].inputs.tobytes()
        labels = dataset.splits["validation"].labels
        return Trained(
            source=source,
            description=SourceDescription(
                model=ModelInfo(name=config.name, digest=digest(source)), inputs=(), outputs=()
            ),
            evaluation=evaluate(
                labels, labels, dataset.classes, dataset="digits", split="validation"
            ),
            metrics={"accuracy": 1.0},
            data=b"data",
            reference_rows=b"rows",
        )


def train(registry: Registry, task: Echo, config: TrainConfig = CONFIG) -> ModelVersion:
    return run_training(
        config, task, registry, clock=lambda: NOW, progress=lambda _: None, by="Ada"
    )


def test_everything_a_task_gives_is_recorded_with_its_configuration(registry: Registry) -> None:
    version = train(registry, Echo())
    assert (version.label, version.task, version.created) == ("digits:1", "echo", NOW)
    assert version.metrics == {"accuracy": 1.0}
    assert [artifact.name for artifact in version.artifacts] == [
        "data.npz",
        "evaluation.json",
        "model.json",
        "model.onnx",
        "reference.npz",
        "train.json",
    ]
    recorded = decode_json(TrainConfig, registry.artifact(version, "train.json"))
    assert recorded == CONFIG


def test_a_version_is_exported_with_its_number(registry: Registry, tmp_path: Path) -> None:
    train(registry, Echo())
    version = train(registry, Echo())
    folder = tmp_path / "export" / "deep"
    export_version(registry, version, folder)
    export_version(registry, version, folder)
    assert sorted(path.name for path in folder.iterdir()) == [a.name for a in version.artifacts]
    description = decode_json(SourceDescription, (folder / "model.json").read_bytes())
    assert description.model.version == 2
    assert digest((folder / "model.onnx").read_bytes()) == version.digest


def test_an_export_into_a_file_is_a_storage_error(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        export_version(registry, train(registry, Echo()), tmp_path / "file")


@pytest.mark.parametrize(
    ("failure", "expected", "message"),
    [
        (RuntimeError("out of memory"), TrainingError, "task 'echo' failed: out of memory"),
        (ConfigurationError("not images"), ConfigurationError, "not images"),
    ],
)
def test_nothing_is_recorded_when_the_task_fails(
    registry: Registry, failure: Exception, expected: type[InsightEdgeError], message: str
) -> None:
    with pytest.raises(expected, match=f"^{message}$"):
        train(registry, Echo(failure))
    assert registry.versions("digits") == ()


def test_a_name_that_cannot_be_used_is_refused_before_training(registry: Registry) -> None:
    config = TrainConfig(task="echo", name="Digits", data=DataSection(set="digits"))
    with pytest.raises(ConfigurationError, match="cannot name a model"):
        train(registry, Echo(RuntimeError("trained")), config)
