# SPDX-License-Identifier: Apache-2.0
"""The task seam: how one kind of model is trained, found by entry point `insight_cloud.tasks`.

A task turns rows into a source model and everything that has to travel with
it. It writes nothing: `training.run` records what it returns.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar

from insight_cloud.datasets.dataset import Dataset
from insight_cloud.training.config import TrainConfig
from insight_edge.documents.codec import Versioned
from insight_edge.documents.source import SourceDescription
from insight_edge.errors import ConfigurationError, ToolchainMissingError

GROUP = "insight_cloud.tasks"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a training is.

    Attributes:
        epoch: those finished.
        loss: mean over the rows of the last one.
    """

    epoch: int
    epochs: int
    loss: float


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training gives.

    Attributes:
        source: the ONNX file.
        description: the rest of the model; its version is 0 until it is registered.
        evaluation: on the `validation` split.
        labelled: evaluation on the split of that name; None where no rows were added.
        metrics: the figures of the evaluations that versions are compared by.
        data: the `validation` split as .npz, arrays by input name and `labels`; rows that were
            added are among those that calibrate and those that prove.
        reference_rows: the rows that the reference was counted from, as .npz, in order.
    """

    source: bytes
    description: SourceDescription
    evaluation: Versioned
    metrics: dict[str, float]
    data: bytes
    reference_rows: bytes
    labelled: Versioned | None = None


C_contra = TypeVar("C_contra", bound=TrainConfig, contravariant=True)


class Task(Protocol[C_contra]):
    """One kind of model."""

    @property
    def config(self) -> type[TrainConfig]:
        """What its `train.toml` is read as."""
        ...

    def train(
        self, config: C_contra, dataset: Dataset, progress: Callable[[Progress], None]
    ) -> Trained:
        """Return the model trained on the `train` split; equal arguments give equal models.

        A split `added` is trained on after it, in its order; `labelled` is evaluated on.

        Raises:
            ConfigurationError: the data set is not of the kind this task is for.
            TrainingError: it diverged, or the exported model disagrees with the trained one.
        """
        ...


def load_task(token: str) -> Task[Any]:
    """Return the task of that name; only its own plug-in is imported.

    OpenMP reads how its threads wait when a plug-in's library is loaded, so it is told
    before. By default they spin, which beside two busy processes on two cores made a
    training of 29 s take 172 s; threads that sleep took 64 s, and 32 s alone.

    Raises:
        ConfigurationError: no distribution here declares it.
        ToolchainMissingError: its plug-in cannot be imported on this machine.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if token not in found:
        near = get_close_matches(token, found, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(found))}"
        raise ConfigurationError(f"there is no task '{token}'", hint=hint)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        task: Task[Any] = found[token].load()()
    except Exception as error:  # a plug-in may raise anything
        raise ToolchainMissingError(
            f"task '{token}' cannot be loaded: {error}",
            hint="pip install 'insight-cloud[train]'",
        ) from error
    return task
