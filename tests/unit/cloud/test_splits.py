# SPDX-License-Identifier: Apache-2.0
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.datasets import digits
from insight_cloud.datasets.digits import SIZES, load_digits
from insight_cloud.datasets.known import load_dataset
from insight_cloud.datasets.splits import stratified_splits
from insight_edge.errors import ConfigurationError, DigestMismatchError

FIXED_SHA256 = "dd1221f5d1246ca09ffc6a1e728ade9c4c5add7bf7791b0a3b664b51570cc515"
"""Of the four index lists; a change here makes final rows training rows of older models."""


@st.composite
def labels_and_sizes(draw: st.DrawFn) -> tuple[list[int], dict[str, int]]:
    labels = draw(st.lists(st.integers(0, 4), max_size=60))
    cuts = sorted(draw(st.lists(st.integers(0, len(labels)), min_size=2, max_size=2)))
    return labels, {"a": cuts[0], "b": cuts[1] - cuts[0], "c": len(labels) - cuts[1]}


@given(labels_and_sizes(), st.text(max_size=5))
def test_every_row_is_in_exactly_one_split(
    case: tuple[list[int], dict[str, int]], seed: str
) -> None:
    labels, sizes = case
    splits = stratified_splits(labels, sizes, seed=seed)
    assert {name: len(rows) for name, rows in splits.items()} == sizes
    assert sorted(row for rows in splits.values() for row in rows) == list(range(len(labels)))
    assert splits == stratified_splits(labels, sizes, seed=seed)


@given(labels_and_sizes(), st.text(max_size=5))
def test_every_class_has_its_share_of_every_split(
    case: tuple[list[int], dict[str, int]], seed: str
) -> None:
    labels, sizes = case
    whole = Counter(labels)
    for rows in stratified_splits(labels, sizes, seed=seed).values():
        found = Counter(labels[row] for row in rows)
        for label, count in whole.items():
            share = count * len(rows) / len(labels)
            assert abs(found[label] - share) <= len(whole)


def test_another_seed_gives_another_split() -> None:
    labels = [row % 3 for row in range(30)]
    sizes = {"a": 15, "b": 15}
    assert stratified_splits(labels, sizes, seed="x") != stratified_splits(labels, sizes, seed="y")


def test_sizes_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="3 rows in splits, 2 in the data set"):
        stratified_splits([0, 1], {"a": 3}, seed="")


def test_the_digits_are_split_once_and_for_ever() -> None:
    splits = load_digits().splits
    rows = {name: split.rows for name, split in splits.items()}
    assert hashlib.sha256(repr(rows).encode()).hexdigest() == FIXED_SHA256


def test_the_digits_are_1797_originals_in_disjoint_splits() -> None:
    splits = load_digits().splits
    assert {name: len(split.rows) for name, split in splits.items()} == SIZES
    everything = [row for split in splits.values() for row in split.rows]
    assert sorted(everything) == list(range(1797))


def test_the_digits_are_what_scikit_learn_has_at_those_rows() -> None:
    from sklearn.datasets import load_digits as originals

    bunch = originals()
    for split in load_digits().splits.values():
        rows = list(split.rows)
        assert split.inputs.dtype == np.uint8
        assert np.array_equal(split.inputs, bunch.images[rows])
        assert np.array_equal(split.labels, bunch.target[rows])


@pytest.mark.parametrize("text", [None, "no table", "1,2\n3,4\n"])
def test_other_digits_than_those_that_were_split_are_refused(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "digits.csv").write_text(text)
    monkeypatch.setattr(digits, "FILE", str(tmp_path / "digits.csv"))
    with pytest.raises(DigestMismatchError, match="have changed since they were split"):
        load_digits()


def test_each_split_of_the_digits_has_its_share_of_every_class() -> None:
    found = load_digits()
    whole = np.bincount(np.concatenate([split.labels for split in found.splits.values()]))
    for split in found.splits.values():
        shares = whole * len(split.rows) / 1797
        assert np.abs(np.bincount(split.labels) - shares).max() <= 1.5


def test_a_limit_takes_the_first_rows() -> None:
    train = load_dataset("digits").splits["train"]
    assert train.first(None).rows == train.rows
    first = train.first(200)
    assert first.rows == train.rows[:200]
    assert np.array_equal(first.inputs, train.inputs[:200])
    assert np.array_equal(first.labels, train.labels[:200])


@pytest.mark.parametrize("limit", [0, -1, 701])
def test_a_limit_that_there_are_no_rows_for_is_refused(limit: int) -> None:
    with pytest.raises(ConfigurationError, match="700 rows"):
        load_dataset("digits").splits["train"].first(limit)


def test_an_unknown_data_set_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match="'digit'") as caught:
        load_dataset("digit")
    assert caught.value.hint == "did you mean 'digits'?"
