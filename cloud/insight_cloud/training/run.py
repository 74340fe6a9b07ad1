# SPDX-License-Identifier: Apache-2.0
"""One training, from its configuration to a version in the registry."""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from insight_cloud.datasets.dataset import Dataset
from insight_cloud.datasets.known import load_dataset
from insight_cloud.platform.errors import TrainingError
from insight_cloud.registry.rules import SOURCE_ARTIFACT, ModelVersion, check_name
from insight_cloud.registry.service import Registry
from insight_cloud.training.added import dataset_with
from insight_cloud.training.config import C, TrainConfig
from insight_cloud.training.task import Progress, Task, Trained
from insight_edge.documents.codec import decode_json, digest, encode_json
from insight_edge.errors import ConfigurationError, DigestMismatchError, InsightEdgeError

DESCRIPTION = "model.json"
DATA = "data.npz"
EVALUATION = "evaluation.json"
REFERENCE_ROWS = "reference.npz"
LABELLED_EVALUATION = "evaluation-labelled.json"
ADDED_ROWS = "added.npz"
CONFIGURATION = "train.json"


def run_training(
    config: C,
    task: Task[C],
    registry: Registry,
    *,
    clock: Callable[[], datetime],
    progress: Callable[[Progress], None],
    added: bytes | None = None,
    by: str,
) -> ModelVersion:
    """Train in this process and return the version that was recorded.

    Args:
        config: of the task.
        task: what trains.
        registry: where the version is recorded, with all that it takes to train it again.
        clock: says when.
        progress: called after each epoch.
        added: the file that `config.data.add` names.
        by: whose training it is, for the audit trail.

    Raises:
        ConfigurationError: a name cannot be used, or the data set is not for this task.
        DigestMismatchError: the rows to add are not those that the configuration means.
        DocumentError, TensorMismatchError: they cannot be added to this data set.
        ConflictError: earlier versions of the model are for another task.
        TrainingError: it diverged, the exported model disagrees, or the task failed.
        StorageError: the disk is full or cannot be written; nothing was recorded.
    """
    check_name("a model", config.name)
    recorded = _naming(config, added)
    dataset = load_dataset(config.data.set)
    if added is not None:
        dataset = dataset_with(dataset, added, holdout=config.data.holdout)
    trained = _train(recorded, task, dataset, progress)
    return registry.register(
        config.name,
        task=config.task,
        artifacts=_artifacts(recorded, trained, added),
        metrics=trained.metrics,
        now=clock(),
        by=by,
    )


def version_of_run(registry: Registry, model: str, run: str) -> ModelVersion | None:
    """Return the version that a pipeline's run asked for; None before it is registered."""
    for version in reversed(registry.versions(model)):
        if any(artifact.name == CONFIGURATION for artifact in version.artifacts):
            config = decode_json(TrainConfig, registry.artifact(version, CONFIGURATION))
            if config.run == run:
                return version
    return None


def _naming(config: C, added: bytes | None) -> C:
    """Return the configuration as it is recorded: with the name and digest of what was added."""
    data = config.data
    if added is None:
        if data.add is not None:
            raise ConfigurationError(f"data.add: '{data.add}' was not read")
        return config
    found = digest(added)
    if data.add_digest not in {None, found}:
        raise DigestMismatchError(
            f"'{data.add}' is {found}, not {data.add_digest}",
            hint="leave data.add_digest out to train on what the file is now",
        )
    return replace(config, data=replace(data, add=ADDED_ROWS, add_digest=found))


def _train(
    config: C, task: Task[C], dataset: Dataset, progress: Callable[[Progress], None]
) -> Trained:
    try:
        return task.train(config, dataset, progress)
    except InsightEdgeError:
        raise
    except Exception as error:  # a plug-in may raise anything
        raise TrainingError(f"task '{config.task}' failed: {error}") from error


def _artifacts(config: TrainConfig, trained: Trained, added: bytes | None) -> dict[str, bytes]:
    artifacts = {
        SOURCE_ARTIFACT: trained.source,
        DESCRIPTION: encode_json(trained.description),
        DATA: trained.data,
        EVALUATION: encode_json(trained.evaluation),
        REFERENCE_ROWS: trained.reference_rows,
        CONFIGURATION: encode_json(config),
    }
    if trained.labelled is not None:
        artifacts[LABELLED_EVALUATION] = encode_json(trained.labelled)
    if added is not None:
        artifacts[ADDED_ROWS] = added
    return artifacts
