# SPDX-License-Identifier: Apache-2.0
import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.documents.codec import encode_json
from insight_edge.documents.statistics import document_from_summary
from insight_edge.stats.grid import Grid, grid_from_rows
from insight_edge.stats.summary import UNITS_PER_CELL, Summary
from insight_edge.stats.tally import MAX_ROWS, Counted, Tally, Workspace
from tests.fakes.odd_rows import Rows, edges, grids, rows


def counted(grid: Grid, *parts: Rows) -> Summary:
    tally = Tally(grid)
    for part in parts:
        assert tally.observe(part).rows == len(part)
    return tally.summary()


def written(summary: Summary) -> bytes:
    return encode_json(document_from_summary(summary))


@st.composite
def grid_and_rows(draw: st.DrawFn, parts: int) -> tuple[Grid, list[Rows]]:
    grid = draw(grids())
    table = st.one_of(rows(len(grid.names)), edges(grid))
    return grid, [draw(table) for _ in range(parts)]


@given(grid_and_rows(1))
def test_bins_are_those_of_place_for_any_floats(drawn: tuple[Grid, list[Rows]]) -> None:
    grid, [table] = drawn
    summary, bins = counted(grid, table), grid.place(table)
    with np.errstate(all="ignore"):
        position = (table - grid.low) / grid.cell
    for feature in range(len(grid.names)):
        column = bins[:, feature]
        expected = np.bincount(column[column >= 0], minlength=grid.bins)
        assert summary.bins[feature].tolist() == expected.tolist()
    assert summary.missing.tolist() == np.isnan(table).sum(axis=0).tolist()
    assert summary.below.tolist() == (position < 0).sum(axis=0).tolist()
    assert summary.above.tolist() == (position >= grid.cells).sum(axis=0).tolist()


@given(grid_and_rows(1))
def test_a_row_is_unusual_where_a_value_is_missing_or_outside(
    drawn: tuple[Grid, list[Rows]],
) -> None:
    grid, [table] = drawn
    with np.errstate(all="ignore"):
        position = (table - grid.low) / grid.cell
    usual = ((position >= 0) & (position < grid.cells)).all(axis=1)
    assert Tally(grid).observe(table) == Counted(len(table), int(np.count_nonzero(~usual)))


@pytest.mark.parametrize("features", [1, 4, 64, 20_000])
def test_blocks_add_up_to_what_rows_one_by_one_do(features: int) -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(2100 if features < 100 else 3, features))
    grid = grid_from_rows([f"f{index}" for index in range(features)], table[:2])
    whole = counted(grid, table)
    assert written(whole) == written(
        counted(grid, *(table[i : i + 7] for i in range(0, len(table), 7)))
    )


def test_tallies_of_one_workspace_do_not_mix() -> None:
    grid = grid_from_rows(["a"], np.array([[0.0], [1.0]]))
    space = Workspace(grid)
    first, second = Tally(grid, workspace=space), Tally(grid, workspace=space)
    first.observe(np.array([[0.5]]))
    second.observe(np.array([[9.0], [0.25]]))
    assert (first.count, second.count) == (1, 2)
    assert first.summary().above.tolist() == [0]


@given(grid_and_rows(1))
def test_sums_and_extremes_are_those_of_single_values(drawn: tuple[Grid, list[Rows]]) -> None:
    grid, [table] = drawn
    summary = counted(grid, table)
    for feature, column in enumerate(table.T.tolist()):
        low, cell = float(grid.low[feature]), float(grid.cell[feature])
        units = [unit_by_definition(value, low, cell) for value in column if not math.isnan(value)]
        assert summary.sums[feature] == sum(units)
        assert summary.squares[feature] == sum(unit * unit for unit in units)
        finite = [value for value in column if math.isfinite(value)]
        assert summary.minimum[feature] == min(finite, default=math.inf)
        assert summary.maximum[feature] == max(finite, default=-math.inf)


def unit_by_definition(value: float, low: float, cell: float) -> int:
    """Return a value in whole units as rule S3 words it."""
    with np.errstate(all="ignore"):
        position = float((np.float64(value) - low) / cell)
    return round(max(-(2.0**14), min(2.0**14, position)) * UNITS_PER_CELL)


@given(grid_and_rows(3))
def test_observing_a_stream_equals_merging_its_parts(drawn: tuple[Grid, list[Rows]]) -> None:
    grid, parts = drawn
    whole = counted(grid, np.concatenate(parts))
    a, b, c = (counted(grid, part) for part in parts)
    zero = Summary.zero(grid)
    equal = [
        counted(grid, *parts),
        a.merge(b).merge(c),
        a.merge(b.merge(c)),
        c.merge(a).merge(b),
        zero.merge(whole),
        whole.merge(zero),
    ]
    assert all(summary == whole for summary in equal)
    assert {written(summary) for summary in equal} == {written(whole)}


def test_neither_blocks_nor_features_change_what_is_counted() -> None:
    random = np.random.default_rng(3)
    table = random.normal(size=(1000, 300))
    table[random.random(table.shape) < 0.001] = np.nan
    names = [f"f{index}" for index in range(300)]
    grid = grid_from_rows(names, table[:500])
    whole = counted(grid, table)
    assert whole == counted(grid, *np.array_split(table, 37))
    alone = counted(grid_from_rows(names[:1], table[:500, :1]), table[:, :1])
    assert (whole.bins[0].tolist(), whole.sums[0]) == (alone.bins[0].tolist(), alone.sums[0])


@pytest.mark.parametrize(
    ("centre", "spread"), [(0, 1), (1e9, 1e-3), (-5e-9, 1e-12), (3e200, 1e190)]
)
def test_mean_and_std_are_within_half_a_unit_of_exact(centre: float, spread: float) -> None:
    values = np.random.default_rng(5).normal(centre, spread, size=(20_000, 1))
    grid = grid_from_rows(["a"], values[:5000])
    inside = values[grid.place(values).astype(bool)[:, 0]]
    summary = counted(grid, inside)
    half = float(grid.cell[0]) / UNITS_PER_CELL / 2
    shifted = (inside - centre) / spread  # NumPy's own variance would overflow or cancel
    slack = 1 + 1e-6
    assert abs((summary.mean()[0] - centre) / spread - shifted.mean()) <= half / spread * slack
    assert abs(summary.std()[0] / spread - shifted.std()) <= half / spread * slack


def test_largest_window_of_furthest_values_does_not_overflow() -> None:
    grid = grid_from_rows(["a"], np.array([[0.0], [1.0]]))
    tally, furthest = Tally(grid), np.full((2**16, 1), np.inf)
    for _ in range(MAX_ROWS // len(furthest)):
        assert tally.observe(furthest).rows == len(furthest)
    summary = tally.summary()
    assert (summary.sums[0], summary.squares[0]) == (2**42, 2**62)
    assert summary.std()[0] == 0
    assert tally.observe(furthest).rows == 0
    assert tally.summary() == summary


def test_rows_beyond_the_most_are_left_out_and_told() -> None:
    grid = grid_from_rows(["a"], np.zeros((1, 1)))
    buffer = np.zeros(Tally.words(grid), np.int64)
    tally = Tally(grid, buffer)
    buffer[0] = MAX_ROWS - 2
    assert tally.observe(np.zeros((5, 1))) == (2, 0)
    assert tally.count == MAX_ROWS


def test_zeroed_words_are_the_empty_tally_and_hold_all_there_is() -> None:
    grid = grid_from_rows(["a", "b"], np.array([[0.0, 1.0], [3.0, 1.0]]))
    buffer = np.zeros(Tally.words(grid), np.int64)
    assert Tally(grid, buffer).summary() == Summary.zero(grid)
    Tally(grid, buffer).observe(np.array([[1.0, np.nan]]))
    tally = Tally(grid, buffer.copy())
    tally.observe(np.array([[-2.0, np.inf]]))
    assert tally.summary() == counted(grid, np.array([[1.0, np.nan], [-2.0, np.inf]]))
    tally.reset()
    assert tally.summary() == Summary.zero(grid)


def test_summary_stays_as_it_was_while_counting_goes_on() -> None:
    tally = Tally(grid_from_rows(["a"], np.zeros((1, 1))))
    tally.observe(np.zeros((1, 1)))
    before = tally.summary()
    copy = written(before)
    tally.observe(np.ones((3, 1)))
    assert written(before) == copy


def test_minus_zero_is_counted_as_zero() -> None:
    grid = grid_from_rows(["a"], np.array([[-1.0], [1.0]]))
    for values in itertools.permutations([[0.0], [-0.0]]):
        summary = counted(grid, np.array(values))
        assert not np.signbit([summary.minimum[0], summary.maximum[0]]).any()


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3)])
def test_rows_of_other_features_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="2 features"):
        Tally(grid_from_rows(["a", "b"], np.zeros((1, 2)))).observe(np.zeros(shape))


@pytest.mark.parametrize("buffer", [np.zeros(3, np.int64), np.zeros(12, np.float64)])
def test_buffer_that_does_not_fit_is_refused(buffer: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="buffer"):
        Tally(grid_from_rows(["a"], np.zeros((1, 1))), buffer)
