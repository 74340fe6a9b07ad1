# SPDX-License-Identifier: Apache-2.0
"""One training, from its configuration to a version in the registry."""

from collections.abc import Callable
from datetime import datetime

from insight_cloud.datasets.known import load_dataset
from insight_cloud.platform.errors import TrainingError
from insight_cloud.registry.rules import SOURCE_ARTIFACT, ModelVersion, check_name
from insight_cloud.registry.service import Registry
from insight_cloud.training.config import C, TrainConfig
from insight_cloud.training.task import Progress, Task, Trained
from insight_edge.documents.codec import encode_json
from insight_edge.errors import InsightEdgeError

DESCRIPTION = "model.json"
DATA = "data.npz"
EVALUATION = "evaluation.json"
REFERENCE_ROWS = "reference.npz"
CONFIGURATION = "train.json"


def run_training(
    config: C,
    task: Task[C],
    registry: Registry,
    *,
    clock: Callable[[], datetime],
    progress: Callable[[Progress], None],
) -> ModelVersion:
    """Train in this process and return the version that was recorded.

    Raises:
        ConfigurationError: a name cannot be used, or the data set is not for this task.
        ConflictError: earlier versions of the model are for another task.
        TrainingError: it diverged, the exported model disagrees, or the task failed.
        StorageError: the disk is full or cannot be written; nothing was recorded.
    """
    check_name("a model", config.name)
    trained = _train(config, task, progress)
    return registry.register(
        config.name,
        task=config.task,
        artifacts=_artifacts(config, trained),
        metrics=trained.metrics,
        now=clock(),
    )


def _train(config: C, task: Task[C], progress: Callable[[Progress], None]) -> Trained:
    dataset = load_dataset(config.data.set)
    try:
        return task.train(config, dataset, progress)
    except InsightEdgeError:
        raise
    except Exception as error:  # a plug-in may raise anything
        raise TrainingError(f"task '{config.task}' failed: {error}") from error


def _artifacts(config: TrainConfig, trained: Trained) -> dict[str, bytes]:
    return {
        SOURCE_ARTIFACT: trained.source,
        DESCRIPTION: encode_json(trained.description),
        DATA: trained.data,
        EVALUATION: encode_json(trained.evaluation),
        REFERENCE_ROWS: trained.reference_rows,
        CONFIGURATION: encode_json(config),
    }
