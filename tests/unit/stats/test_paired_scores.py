# SPDX-License-Identifier: Apache-2.0
"""The bound of a loss of scores holds, narrows with rows, and says how many it takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from insight_edge.stats.paired import MAX_ROWS
from insight_edge.stats.paired_scores import (
    Scores,
    mean_bound,
    score_loss,
    score_rows_needed,
)

losses = arrays(np.float64, st.integers(1, 60), elements=st.floats(-1, 1))
scores = st.integers(1, 50).flatmap(
    lambda rows: st.tuples(*[arrays(np.float64, rows, elements=st.floats(0, 1))] * 2)
)


@given(scores)
def test_drop_is_the_difference_of_the_means_and_below_its_bound(
    both: tuple[Scores, Scores],
) -> None:
    source, target = both
    loss = score_loss(source, target)
    assert loss.rows == len(source)
    assert loss.drop == pytest.approx(source.mean() - target.mean(), abs=1e-12)
    assert loss.upper >= loss.drop
    assert 0.0 <= loss.upper <= 1.0


@given(losses)
def test_more_confidence_never_makes_the_bound_lower(found: Scores) -> None:
    assert mean_bound(found, confidence=0.99) >= mean_bound(found, confidence=0.9) - 1e-9


@given(losses, st.floats(0, 1))
def test_larger_losses_never_make_the_bound_lower_where_all_grow_alike(
    found: Scores, more: float
) -> None:
    grown = np.minimum(found + more, 1.0)
    shifted = found + (grown - found).min()
    assert mean_bound(shifted) >= mean_bound(found) - 1e-6


@pytest.mark.parametrize(
    "draw",
    [
        lambda random, rows: random.choice([-1.0, 1.0], rows, p=[0.49, 0.51]) - 0.02,
        lambda random, rows: (random.random(rows) < 0.01) - 0.01,
        lambda random, rows: random.normal(0, 0.02, rows),
        lambda random, rows: 0.5 * (random.beta(0.2, 5.0, rows) - 0.2 / 5.2),
    ],
    ids=["coin", "rare", "normal", "skewed"],
)
def test_bound_misses_a_true_mean_no_more_often_than_it_says(draw: object) -> None:
    random = np.random.default_rng(1)
    assert callable(draw)
    true = 0.1
    drawn = [np.clip(draw(random, 300) + true, -1, 1) for _ in range(400)]
    missed = sum(mean_bound(found) < true for found in drawn)
    assert missed <= 0.05 * len(drawn) + 3 * (0.05 * 0.95 * len(drawn)) ** 0.5


def test_sorted_rows_are_no_better_than_shuffled_ones() -> None:
    found = np.repeat([0.0, 0.0, 0.0, 0.3], 100)
    shuffled = np.random.default_rng(2).permutation(found)
    assert mean_bound(found) == pytest.approx(mean_bound(shuffled), abs=0.02)


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.1])
def test_rows_needed_prove_it(spread: float) -> None:
    found = np.array([-spread, spread])
    need = score_rows_needed(found, budget=0.01)
    assert mean_bound(np.resize(found, need)) <= 0.01 + 1e-9
    assert mean_bound(np.resize(found, need // 2)) > 0.01


def test_no_number_of_rows_proves_what_is_lost_already() -> None:
    assert score_rows_needed(np.array([0.02, 0.02]), budget=0.01) == MAX_ROWS


def test_without_rows_nothing_is_known() -> None:
    empty = np.zeros(0)
    assert mean_bound(empty) == 1.0
    assert score_loss(empty, empty).upper == 1.0
    assert 300 < score_rows_needed(empty, budget=0.01) < 400


@pytest.mark.parametrize(
    ("source", "target"),
    [([0.5], [0.5, 0.5]), ([1.1], [0.0]), ([0.0], [-0.1]), ([float("nan")], [0.0])],
)
def test_what_is_no_score_is_refused(source: list[float], target: list[float]) -> None:
    with pytest.raises(ValueError, match=r"scores|rows"):
        score_loss(np.array(source), np.array(target))
