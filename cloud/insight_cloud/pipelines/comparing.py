# SPDX-License-Identifier: Apache-2.0
"""Compare two versions on the same rows, in a process of its own: `python -m ...`.

Loading the engine and the data set takes memory that a worker should not keep. The
child reads an `Asked` and prints a `Compared`, both as JSON.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_cloud.datasets.dataset import Split
from insight_cloud.datasets.known import load_dataset
from insight_cloud.evaluation.source_model import predicted_classes
from insight_cloud.pipelines.rules import Compared, Pair
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.child_process import run_child
from insight_cloud.platform.database import open_database
from insight_cloud.platform.errors import TrainingError
from insight_cloud.platform.settings import Settings
from insight_cloud.registry.rules import SOURCE_ARTIFACT, ModelVersion
from insight_cloud.registry.service import Registry
from insight_cloud.training.added import HELD_OUT, dataset_with
from insight_cloud.training.config import TrainConfig
from insight_cloud.training.run import ADDED_ROWS, CONFIGURATION, DESCRIPTION
from insight_edge.documents.codec import decode_json
from insight_edge.documents.source import SourceDescription
from insight_edge.errors import InsightEdgeError
from insight_edge.stats.paired import loss_bound

TIMEOUT_S: Final = 900.0
THREADS: Final = 1


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions are compared, and where they are."""

    database: str
    blobs: str
    model: str
    old: int
    new: int


class ComparingChild:
    """Compares versions of one installation, each time in a new child."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, model: str, old: int, new: int, *, pulse: Callable[[], None]) -> Compared:
        """Return how two versions do on `validation`, and on the held-out rows of the new one.

        Raises:
            TrainingError: the child failed.
            BaseException: whatever `pulse` raises; the child was stopped.
        """
        asked = Asked(
            database=str(self._settings.database_path.absolute()),
            blobs=str(self._settings.blobs_path.absolute()),
            model=model,
            old=old,
            new=new,
        )
        done = run_child(
            [sys.executable, "-m", "insight_cloud.pipelines.comparing"],
            cwd=self._settings.state.absolute(),
            timeout_s=TIMEOUT_S,
            stdin=msgspec.json.encode(asked),
            pulse=pulse,
        )
        if done.code or done.over_time:
            said = done.log[-1] if done.log else "it said nothing"
            raise TrainingError(f"{model}:{old} and {new} cannot be compared: {said}")
        return msgspec.json.decode(done.output, type=Compared)


def compare_here(registry: Registry, asked: Asked) -> Compared:
    """Return the same in this process.

    Raises:
        InsightEdgeError: a version lacks what it takes, or was trained on other data.
    """
    old, new = (registry.version(asked.model, number) for number in (asked.old, asked.new))
    config = decode_json(TrainConfig, registry.artifact(new, CONFIGURATION))
    dataset = load_dataset(config.data.set)
    if config.data.add is not None:
        added = registry.artifact(new, ADDED_ROWS)
        dataset = dataset_with(dataset, added, holdout=config.data.holdout)
    validation = dataset.splits["validation"]
    labelled = dataset.splits.get(HELD_OUT)

    def pair(split: Split | None) -> Pair:
        if split is None or not split.rows:
            return Pair(rows=0, old=0, new=0, losses=0, gains=0)
        right = [_right(registry, one, dataset.input_name, split) for one in (old, new)]
        return _pair(right[0], right[1])

    return Compared(validation=pair(validation), labelled=pair(labelled))


def _right(
    registry: Registry, version: ModelVersion, input_name: str, split: Split
) -> NDArray[np.bool_]:
    found = predicted_classes(
        registry.artifact(version, SOURCE_ARTIFACT),
        decode_json(SourceDescription, registry.artifact(version, DESCRIPTION)),
        {input_name: split.inputs},
        threads=THREADS,
    )
    right: NDArray[np.bool_] = found == split.labels
    return right


def _pair(old: NDArray[np.bool_], new: NDArray[np.bool_]) -> Pair:
    loss = loss_bound(old, new)
    return Pair(
        rows=loss.rows,
        old=int(old.sum()),
        new=int(new.sum()),
        losses=loss.losses,
        gains=loss.gains,
    )


def main() -> None:
    """Compare what standard input asks for."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    database = open_database(Path(asked.database))
    try:
        compared = compare_here(Registry(database, open_blobs(Path(asked.blobs))), asked)
    except InsightEdgeError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    finally:
        database.close()
    sys.stdout.buffer.write(msgspec.json.encode(compared))


if __name__ == "__main__":
    main()
