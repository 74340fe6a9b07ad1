# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.stats.disagreement import MOST_DB, STEP_DB, compare, differing_rows

SCORES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]], np.float32)


@given(seed=st.integers(0, 999), rows=st.integers(1, 40), planted=st.data())
def test_of_class_scores_the_rows_whose_first_rank_changed_are_counted(
    seed: int, rows: int, planted: st.DataObject
) -> None:
    scores = np.random.default_rng(seed).normal(size=(rows, 5))
    chosen = planted.draw(st.sets(st.integers(0, rows - 1)))
    other = scores * 1.001
    for row in chosen:
        other[row, scores[row].argmin()] = scores[row].max() + 1
    found = compare(scores, other, ranked=True)
    assert set(np.flatnonzero(found.differing).tolist()) == chosen
    assert not found.odd.any()
    assert found.says_class


@given(noise_db=st.integers(1, 110))
def test_ratio_of_a_known_noise_falls_into_its_step(noise_db: int) -> None:
    expected = np.ones((1, 64))
    found = compare(expected, expected * (1 + 10 ** -((noise_db + 0.01) / 20)), ranked=False)
    assert found.buckets is not None
    assert found.buckets.tolist() == [int((noise_db + 0.01) // STEP_DB)]
    assert found.differing.tolist() == [noise_db < 20]


def test_equal_rows_have_the_most_and_wild_ones_nothing() -> None:
    expected = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, np.nan], [1.0, 2.0], [1e300, 1.0]])
    answered = np.array([[1.0, 2.0], [1.0, np.nan], [1.0, np.nan], [np.inf, 2.0], [-1e300, 1.0]])
    with np.errstate(over="ignore"):
        found = compare(expected, answered, ranked=False)
    assert found.odd.tolist() == [False, True, False, True, False]
    assert found.differing.tolist() == [False, True, False, True, True]
    assert found.buckets is not None
    assert found.buckets.tolist() == [MOST_DB // STEP_DB, 0, MOST_DB // STEP_DB, 0, 0]


def test_silence_is_met_by_silence_alone() -> None:
    found = compare(np.zeros((2, 3)), np.array([[0.0] * 3, [1e-9, 0, 0]]), ranked=False)
    assert found.differing.tolist() == [False, True]


@pytest.mark.parametrize("dtype", ["int64", "bool", "U9"])
def test_what_is_no_number_is_equal_or_not(dtype: str) -> None:
    found = compare(
        np.array([1, 0, 1]).astype(dtype), np.array([1, 1, 1]).astype(dtype), ranked=True
    )
    assert found.differing.tolist() == [False, True, False]
    assert found.buckets is None


def test_a_decision_outweighs_the_numbers_beside_it() -> None:
    labels = compare(np.array([3, 3]), np.array([3, 4]), ranked=True)
    boxes = compare(np.ones((2, 4, 2)), np.full((2, 4, 2), 9.0), ranked=True)
    assert boxes.differing.all()
    assert differing_rows([boxes, labels]).tolist() == [False, True]
    assert differing_rows([boxes]).all()


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        compare(SCORES, SCORES[:2], ranked=True)
    with pytest.raises(ValueError, match="int64"):
        compare(SCORES, SCORES.astype(np.int64), ranked=True)
