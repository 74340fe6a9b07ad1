# SPDX-License-Identifier: Apache-2.0
"""Few rows stand for many: the extremes, every class in its share, and the same ones again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.compile.rows.representative import representative, row_figures


@given(st.integers(0, 300), st.integers(1, 64), st.integers(1, 5), st.booleans(), st.integers(0, 9))
def test_as_many_rows_as_wanted_each_once_and_in_order(
    count: int, wanted: int, classes: int, labelled: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    figures, labels = random.normal(size=(count, 4)), random.integers(0, classes, count)
    chosen = representative(figures, labels if labelled else None, wanted)
    assert len(chosen) == min(count, wanted)
    assert (np.diff(chosen) > 0).all()
    assert np.array_equal(chosen, representative(figures, labels if labelled else None, wanted))


@pytest.mark.parametrize("wanted", [16, 64])
def test_extremes_and_rare_classes_are_among_them(wanted: int) -> None:
    figures = np.random.default_rng(0).normal(size=(1000, 2))
    figures[500, 0], figures[900, 0] = 9, -9
    labels = np.zeros(1000, int)
    labels[[3, 700]] = 1, 2
    chosen = representative(figures, labels, wanted)
    assert {500, 900} <= set(chosen.tolist())
    assert set(labels[chosen].tolist()) == {0, 1, 2}


def test_classes_keep_their_share() -> None:
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    chosen = representative(np.zeros((1000, 4)), labels, 100)
    assert np.bincount(labels[chosen]).tolist() == pytest.approx([60, 30, 10], abs=2)


def test_figures_are_of_each_row() -> None:
    rows = np.array([[[1, 2], [3, 6]], [[0, 0], [0, 0]]], np.uint8)
    found = row_figures(rows)
    assert found[0].tolist() == pytest.approx([6, 1, 3, np.std([1, 2, 3, 6])])
    assert found[1].tolist() == [0, 0, 0, 0]
    assert row_figures(np.zeros((2, 0))).shape == (2, 4)


def test_no_rows_have_no_figures() -> None:
    assert row_figures(np.zeros((0, 3, 2), np.float32)).shape == (0, 4)
