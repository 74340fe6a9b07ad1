# SPDX-License-Identifier: Apache-2.0
"""Labelled rows that are trained on as well: what is taken, held out and recorded."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from insight_cloud.datasets.dataset import Dataset
from insight_cloud.datasets.digits import load_digits
from insight_cloud.evaluation.classification import evaluate
from insight_cloud.registry.rules import ModelVersion
from insight_cloud.registry.service import Registry
from insight_cloud.training.added import ADDED, HELD_OUT, dataset_with, held_out
from insight_cloud.training.config import (
    DataSection,
    TrainConfig,
    config_from_plain,
    read_plain,
)
from insight_cloud.training.run import run_training, version_of_run
from insight_cloud.training.task import Progress, Trained
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.documents.codec import digest
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.source import SourceDescription
from insight_edge.errors import (
    ConfigurationError,
    DigestMismatchError,
    DocumentError,
    InputError,
    TensorMismatchError,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CONFIG = TrainConfig(task="echo", name="digits", data=DataSection(set="digits", add="new.npz"))
DIGITS = load_digits()


def rows(count: int = 40, **changes: Any) -> bytes:
    """Return labelled rows, the first pixel counting them."""
    images = np.zeros((count, 8, 8), np.uint8)
    images[:, 0, 0] = np.arange(count) % 17
    images[:, 0, 1] = np.arange(count) // 17
    arrays: dict[str, Any] = {"image": images, "labels": np.arange(count) % 10} | changes
    return npz_from_arrays({name: array for name, array in arrays.items() if array is not None})


class Echo:
    """A task that learns nothing and remembers what it was given."""

    config: ClassVar = TrainConfig

    def __init__(self) -> None:
        self.given: Dataset | None = None

    def train(
        self, config: TrainConfig, dataset: Dataset, progress: Callable[[Progress], None]
    ) -> Trained:
        del progress
        self.given = dataset
        labels = dataset.splits["validation"].labels
        evaluation = evaluate(labels, labels, dataset.classes, dataset="digits", split="validation")
        return Trained(
            source=b"model",
            description=SourceDescription(
                model=ModelInfo(name=config.name, digest=digest(b"model")), inputs=(), outputs=()
            ),
            evaluation=evaluation,
            labelled=evaluation,
            metrics={},
            data=b"data",
            reference_rows=b"rows",
        )


def train(
    registry: Registry, config: TrainConfig, added: bytes | None, task: Echo | None = None
) -> ModelVersion:
    return run_training(
        config,
        task or Echo(),
        registry,
        clock=lambda: NOW,
        progress=lambda _: None,
        added=added,
        by="Ada",
    )


def test_rows_are_split_and_keep_their_order() -> None:
    found = dataset_with(DIGITS, rows(), holdout=0.3)
    added, held = found.splits[ADDED], found.splits[HELD_OUT]
    assert sorted(added.rows + held.rows) == list(range(40))
    assert list(added.rows) == sorted(added.rows)
    assert 4 <= len(held.rows) <= 20
    assert added.labels.tolist() == [row % 10 for row in added.rows]
    assert held.inputs[:, 0, 0].tolist() == [row % 17 for row in held.rows]
    assert found.splits["train"] is DIGITS.splits["train"]


@given(st.permutations(range(30)), st.floats(0, 1), st.floats(0, 1))
def test_a_row_is_held_out_by_its_content_alone(order: list[int], one: float, other: float) -> None:
    inputs = np.arange(30 * 4, dtype=np.uint8).reshape(30, 4)
    held = held_out(inputs, one)
    assert held_out(inputs[order], one).tolist() == held[order].tolist()
    assert not (held & ~held_out(inputs, max(one, other))).any()


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"labels": None}, DocumentError, "arrays image"),
        ({"more": np.zeros(40)}, DocumentError, "arrays image, labels, more"),
        ({"image": np.zeros((40, 8, 7), np.uint8)}, TensorMismatchError, r"\(8, 7\)"),
        ({"image": np.zeros((40, 8, 8), np.int16)}, TensorMismatchError, "int16"),
        ({"image": np.full((40, 8, 8), 17, np.uint8)}, TensorMismatchError, "0 to 16"),
        ({"image": np.zeros((0, 8, 8), np.uint8)}, TensorMismatchError, "1 to 1000000"),
        ({"labels": np.zeros(39, np.int64)}, TensorMismatchError, r"\(40,\)"),
        ({"labels": np.zeros(40)}, TensorMismatchError, "whole numbers"),
        ({"labels": np.full(40, 10)}, TensorMismatchError, "0 to 9"),
        ({"labels": np.full(40, -1)}, TensorMismatchError, "0 to 9"),
    ],
)
def test_rows_that_do_not_fit_the_data_set_are_refused(
    changes: dict[str, Any], kind: type[InputError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        dataset_with(DIGITS, rows(**changes), holdout=0.3)


def test_times_and_ids_may_be_in_the_file() -> None:
    data = rows(at_s=np.zeros(40), ids=np.array(["a"] * 40))
    assert dataset_with(DIGITS, data, holdout=0.3).splits[ADDED].rows


def test_what_is_no_npz_is_refused() -> None:
    with pytest.raises(DocumentError):
        dataset_with(DIGITS, b"rows", holdout=0.3)


def test_a_version_keeps_all_that_it_takes_to_train_it_again(registry: Registry) -> None:
    task = Echo()
    version = train(registry, CONFIG, rows(), task)
    assert task.given is not None
    assert {ADDED, HELD_OUT} < set(task.given.splits)
    assert registry.artifact(version, "added.npz") == rows()
    assert registry.artifact(version, "evaluation-labelled.json")
    recorded = config_from_plain(TrainConfig, read_plain(registry.artifact(version, "train.json")))
    assert (recorded.data.add, recorded.data.add_digest) == ("added.npz", digest(rows()))
    again = train(registry, recorded, registry.artifact(version, recorded.data.add or ""))
    assert registry.artifact(again, "train.json") == registry.artifact(version, "train.json")


def test_other_rows_than_those_meant_are_refused(registry: Registry) -> None:
    meant = replace(CONFIG, data=replace(CONFIG.data, add_digest=digest(b"others")))
    with pytest.raises(DigestMismatchError, match=r"'new\.npz' is sha256"):
        train(registry, meant, rows())
    with pytest.raises(ConfigurationError, match="was not read"):
        train(registry, CONFIG, None)
    assert registry.versions("digits") == ()


def test_a_run_finds_the_version_it_asked_for(registry: Registry) -> None:
    plain = replace(CONFIG, data=DataSection(set="digits"))
    train(registry, plain, None)
    mine = train(registry, replace(plain, run="r1"), None)
    train(registry, replace(plain, run="r2"), None)
    assert version_of_run(registry, "digits", "r1") == mine
    assert version_of_run(registry, "digits", "r3") is None
    assert version_of_run(registry, "other", "r1") is None


def test_a_train_json_that_is_cut_off_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not JSON"):
        read_plain(b'{"task": ')
