# SPDX-License-Identifier: Apache-2.0
"""A version trained again with labelled rows of another world, and compared with its base."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from insight_cloud.datasets.digits import load_digits
from insight_cloud.evaluation.classification import ClassificationEvaluation
from insight_cloud.installation import Installation, open_installation
from insight_cloud.pipelines.comparing import ComparingChild
from insight_cloud.pipelines.training_child import TrainingChild
from insight_cloud.platform.errors import TrainingError
from insight_cloud.platform.settings import Settings
from insight_cloud.training.added import held_out
from insight_edge.bundle.npz import arrays_from_npz, npz_from_arrays
from insight_edge.documents.codec import decode_json
from insight_edge.documents.source import SourceDescription
from tests.fakes.programs import insight_cloud

pytestmark = pytest.mark.slow
HOLDOUT = 0.4


def darkened() -> tuple[bytes, NDArray[np.uint8], NDArray[np.int64]]:
    """Return rows that the training has not seen, as a dirty lens would show them."""
    pool = load_digits().splits["pool"]
    images, labels = (pool.inputs // 3).astype(np.uint8), pool.labels
    return npz_from_arrays({"image": images, "labels": labels}), images, labels


@pytest.fixture
def cloud(trained: Path, tmp_path: Path) -> Iterator[Installation]:
    shutil.copytree(trained.parent / "state", tmp_path / "state")
    with open_installation(Settings(state=tmp_path / "state")) as cloud:
        yield cloud


def test_a_run_trains_once_with_the_rows_added_and_is_compared(
    cloud: Installation,
) -> None:
    data, images, labels = darkened()
    first = cloud.registry.version("digits", 1)
    train = TrainingChild(cloud.settings, cloud.registry)

    def asked() -> int:
        version = train(first, run="r1", added=data, holdout=HOLDOUT, pulse=lambda: None)
        return version.number

    assert asked() == 2
    assert asked() == 2
    version = cloud.registry.version("digits", 2)
    held = held_out(images, HOLDOUT)

    # What was held out is evaluated on, and proves; the rest is trained on, and calibrates.
    metrics = version.metrics
    evaluation = decode_json(
        ClassificationEvaluation, cloud.registry.artifact(version, "evaluation-labelled.json")
    )
    assert evaluation.accuracy.total == held.sum()
    assert metrics["labelled_accuracy"] == evaluation.accuracy.value
    files = {
        name: arrays_from_npz(cloud.registry.artifact(version, name), max_bytes=2**28, max_arrays=9)
        for name in ("data.npz", "reference.npz")
    }
    proving = files["data.npz"]["verification"]
    assert np.array_equal(files["data.npz"]["image"][proving][360:], images[held])
    assert np.array_equal(files["data.npz"]["labels"][proving][360:], labels[held])
    calibrating = {row.tobytes() for row in files["data.npz"]["image"][~proving][128:]}
    assert calibrating < {row.tobytes() for row in images[~held]}
    assert 64 < len(calibrating) <= 128

    # The reference has the old world first, and then the new.
    means = files["reference.npz"]["rows"][:, list(files["reference.npz"]["names"]).index(
        next(name for name in files["reference.npz"]["names"] if "mean" in name)
    )]  # fmt: skip
    assert len(means) == 700 + (~held).sum()
    assert means[700:].mean() < means[:700].mean() / 2
    description = decode_json(SourceDescription, cloud.registry.artifact(version, "model.json"))
    assert description.reference is not None
    assert description.reference.rows == len(means)

    # The base does badly on what it has never seen, and the new version better.
    compared = ComparingChild(cloud.settings)("digits", 1, 2, pulse=lambda: None)
    assert compared.labelled.rows == held.sum()
    assert compared.labelled.new / held.sum() == metrics["labelled_accuracy"]
    assert compared.labelled.gains > compared.labelled.losses
    assert compared.validation.rows == 360
    assert compared.validation.old == round(first.metrics["accuracy"] * 360)
    with pytest.raises(TrainingError, match="there is no version digits:9"):
        ComparingChild(cloud.settings)("digits", 1, 9, pulse=lambda: None)


def test_a_training_that_fails_says_why_and_one_that_is_given_up_ends(
    cloud: Installation,
) -> None:
    first = cloud.registry.version("digits", 1)
    train = TrainingChild(cloud.settings, cloud.registry)
    with pytest.raises(TrainingError, match=r"exited with 2: labelled rows: arrays none"):
        train(first, run="r1", added=npz_from_arrays({}), holdout=HOLDOUT, pulse=lambda: None)
    stop = threading.Event()

    def give_up() -> None:
        if stop.is_set():
            raise KeyError
        stop.set()

    with pytest.raises(KeyError):
        train(first, run="r2", added=darkened()[0], holdout=HOLDOUT, pulse=give_up)
    assert len(cloud.registry.versions("digits")) == 1


def test_rows_are_added_from_the_command_line(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "new.npz").write_bytes(npz_from_arrays({"image": np.zeros((1, 8, 8), np.uint8)}))
    done = insight_cloud(
        "train", trained / "train.json", "--add", "new.npz", "--state", "s", cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-2:] == [
        "error: labelled rows: arrays image",
        "hint: wanted: image, labels",
    ]
    assert json.loads((trained / "train.json").read_bytes())["data"]["add"] is None
