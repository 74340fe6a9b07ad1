# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from insight_edge.stats.distance import (
    OUTSIDE,
    Cells,
    cells_from_summary,
    contributions,
    count_cells,
    jensen_shannon,
    join_cells,
    kolmogorov_smirnov,
    psi,
)
from insight_edge.stats.grid import Grid, grid_from_rows
from insight_edge.stats.tally import Tally
from tests.fakes.odd_rows import Rows, grids, rows

Counts = NDArray[np.int64]
DISTANCES = (psi, jensen_shannon, kolmogorov_smirnov)

CELLS = 6
counts = arrays(np.int64, (2, CELLS), elements=st.integers(0, 1000)).filter(
    lambda c: bool(c.sum(1).all())
)


def counted(grid: Grid, table: Rows) -> Cells:
    tally = Tally(grid)
    tally.observe(table)
    return cells_from_summary(tally.summary())


@st.composite
def streams(draw: st.DrawFn) -> tuple[Grid, Rows, Rows]:
    grid = draw(grids(most_features=3))
    return grid, draw(rows(len(grid.names))), draw(rows(len(grid.names)))


@given(streams())
def test_cells_of_a_summary_are_those_of_its_rows_and_add_up_to_them(
    case: tuple[Grid, Rows, Rows],
) -> None:
    grid, table, _ = case
    cells = counted(grid, table)
    assert (cells.counts == count_cells(grid, table).counts).all()
    assert (cells.counts >= 0).all()
    assert (cells.counts.sum(1) == len(table)).all()
    assert cells.rows == (len(table) if grid.names else 0)


@given(streams())
def test_the_order_of_merging_changes_no_distance(case: tuple[Grid, Rows, Rows]) -> None:
    grid, one, other = case
    sides = [counted(grid, np.vstack(pair)).counts for pair in ((one, other), (other, one))]
    for distance in DISTANCES:
        with np.errstate(all="ignore"):
            first, second = (distance(side, counted(grid, one).counts) for side in sides)
        assert np.array_equal(first, second, equal_nan=True)


@pytest.mark.parametrize("distance", DISTANCES)
@given(one=counts, other=counts)
def test_distances_are_symmetric_and_never_negative(
    distance: Any, one: Counts, other: Counts
) -> None:
    there, back = distance(one, other), distance(other, one)
    assert there == pytest.approx(back, nan_ok=True)
    assert not (there < 0).any()


@given(counts, st.integers(1, 50))
def test_psi_is_zero_for_equal_shares_however_many_rows(one: Counts, times: int) -> None:
    assert psi(one, times * one) == pytest.approx([0, 0], abs=1e-12)


@given(counts, counts)
def test_psi_is_above_zero_for_other_shares(one: Counts, other: Counts) -> None:
    same = (one * other.sum(1, keepdims=True) == other * one.sum(1, keepdims=True)).all(1)
    assert ((psi(one, other) > 1e-12) == ~same).all()


@given(counts, counts)
def test_contributions_add_up_to_the_psi_and_none_is_negative(one: Counts, other: Counts) -> None:
    parts = contributions(one, other)
    assert (parts >= 0).all()
    assert parts.sum(1) == pytest.approx(psi(one, other))


@given(counts, counts, st.integers(1, 50))
def test_a_larger_window_of_the_same_shares_is_as_far_away(
    one: Counts, other: Counts, times: int
) -> None:
    near, far = (psi(one, window, window_rows=25) for window in (other, times * other))
    assert near == pytest.approx(far)


def test_psi_takes_many_windows_at_once() -> None:
    random = np.random.default_rng(0)
    whole, several = random.integers(1, 50, (3, 7)), random.integers(0, 50, (5, 3, 7))
    assert psi(whole, several) == pytest.approx(np.array([psi(whole, one) for one in several]))


def test_a_side_without_rows_has_no_distance() -> None:
    nothing, something = np.zeros((1, 4), np.int64), np.ones((1, 4), np.int64)
    assert all(np.isnan(distance(nothing, something)).all() for distance in DISTANCES)


def test_known_distances() -> None:
    before, after = np.array([[0, 50, 50, 0, 0]]), np.array([[0, 100, 0, 0, 0]])
    assert jensen_shannon(before, after) == pytest.approx([0.558], abs=1e-3)
    assert kolmogorov_smirnov(before, after) == pytest.approx([0.5])
    p, q = (np.array([0, 0.5, 0.5, 0, 0]) + 0.005) / 1.025, np.array([0, 1, 0, 0, 0])
    q = (q + 0.005) / 1.025
    assert psi(before, after) == pytest.approx([((p - q) * np.log(p / q)).sum()])


GRID = grid_from_rows(["a", "b"], np.column_stack([np.arange(100.0), np.ones(100)]))


@pytest.mark.parametrize(("broken", "cell"), [(np.nan, -1), (1e9, -2), (-1e9, 0)])
def test_broken_values_are_seen_though_the_outer_bins_hold_them(broken: float, cell: int) -> None:
    table = np.column_stack([np.arange(100.0), np.ones(100)])
    storm = table.copy()
    storm[:30, 0] = broken
    before, after = counted(GRID, table).counts, counted(GRID, storm).counts
    assert after[0, cell] == 30
    assert contributions(before, after)[0].argmax() == cell % after.shape[1]
    assert psi(before, after)[0] > 0.5
    assert psi(before, after)[1] == pytest.approx(0)


def test_joined_parts_keep_their_counts_and_can_be_picked() -> None:
    wide = count_cells(GRID, np.column_stack([np.arange(100.0), np.full(100, np.nan)]))
    small = grid_from_rows(["c"], np.zeros((1, 1)))
    narrow = count_cells(small, np.array([[-9.0], [0.0], [9.0], [np.nan]] * 25))
    both = join_cells([wide, narrow])
    assert both.names == ("a", "b", "c")
    assert both.counts.shape == (3, GRID.bins + OUTSIDE)
    assert both.counts[2, [0, 2, -2, -1]].tolist() == [25, 25, 25, 25]
    assert (both.counts.sum(1) == 100).all()
    assert both.pick(["c", "a"]).counts.tolist() == both.counts[[2, 0]].tolist()
    with pytest.raises(ValueError, match="not in"):
        both.pick(["d"])


def test_no_features_have_no_rows() -> None:
    nothing = join_cells([])
    assert nothing.rows == 0
    assert psi(nothing.counts, nothing.counts).shape == (0,)
