# SPDX-License-Identifier: Apache-2.0
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.stats.grid import Grid, grid_from_rows, lookup_from_starts
from tests.fakes.odd_rows import Rows, edges, grids, rows

RANDOM = np.random.default_rng(7)


def grid_of(*columns: Sequence[float] | NDArray[np.float64], bins: int = 16) -> Grid:
    table = np.array(columns, np.float64).T
    return grid_from_rows([f"f{index}" for index in range(len(columns))], table, bins=bins)


def placed(grid: Grid, *values: float) -> list[int]:
    table = np.array(values, np.float64)[:, None]
    return [int(at) for at in grid.place(table)[:, 0]]


def bin_by_definition(grid: Grid, feature: int, value: float) -> int:
    """Return the bin as rule S1 words it, one value at a time."""
    if math.isnan(value):
        return -1
    with np.errstate(all="ignore"):
        position = (np.float64(value) - grid.low[feature]) / grid.cell[feature]
    if position < 0:
        return int(grid.lookup[feature, 0])
    if position >= grid.cells:
        return int(grid.lookup[feature, -1])
    return int(grid.lookup[feature, math.floor(position)])


@given(st.data())
def test_place_follows_the_definition_for_any_floats(data: st.DataObject) -> None:
    grid = data.draw(grids())
    table: Rows = data.draw(st.one_of(rows(len(grid.names)), edges(grid)))
    expected = [
        [bin_by_definition(grid, feature, value) for feature, value in enumerate(row)]
        for row in table.tolist()
    ]
    assert grid.place(table).tolist() == expected


def test_value_on_a_cell_edge_belongs_to_the_cell_above() -> None:
    grid = Grid(
        names=("a",),
        low=np.array([10.0]),
        cell=np.array([0.5]),
        lookup=lookup_from_starts([0, 1, 2], 4)[None],
    )
    assert placed(grid, 10.0, 10.5, math.nextafter(10.5, 0), 11.0, 12.0, 9.0) == [0, 1, 0, 2, 2, 0]


def test_each_class_gets_a_bin_of_its_own() -> None:
    classes = np.repeat(np.arange(10.0), [500, 1, 3, 80, 80, 80, 80, 80, 80, 80])
    assert placed(grid_of(classes), *range(10)) == list(range(10))


def test_constant_gets_a_bin_between_below_and_above() -> None:
    for value in (0.0, 7.0, -1e290, 1e-290):
        grid = grid_of([value] * 5)
        nearest = abs(value) / 100 or 1.0
        assert placed(grid, value - nearest, value, value + nearest) == [0, 1, 2]


@pytest.mark.parametrize(
    "values",
    [RANDOM.normal(size=4000), RANDOM.exponential(size=4000), RANDOM.uniform(5, 6, size=4000)],
)
def test_bins_hold_about_equal_shares_of_a_continuous_feature(values: NDArray[np.float64]) -> None:
    shares = np.bincount(placed(grid_of(values), *values), minlength=16) / len(values)
    assert len(shares) == 16
    assert abs(shares - 1 / 16).max() < 0.02


@pytest.mark.parametrize("zeros", [0, 30_000])
def test_wild_reference_value_leaves_the_others_apart(zeros: int) -> None:
    values = np.concatenate([np.zeros(zeros), RANDOM.uniform(0, 1, size=1000), [1e30]])
    grid = grid_of(values)
    assert len(set(placed(grid, 0.05, 0.25, 0.5, 0.75, 0.95))) > 2
    assert placed(grid, 1e30) == [grid.bins - 1]


def test_values_that_are_not_finite_leave_the_grid_as_it_was() -> None:
    values = RANDOM.normal(size=50)
    odd = np.concatenate([values, [np.nan, np.inf, -np.inf]])
    assert grid_of(odd).digest == grid_of(values).digest


def test_feature_without_a_finite_value_gets_the_grid_of_zero() -> None:
    assert grid_of([np.nan, np.inf]).digest == grid_of([0.0]).digest


@given(rows(3))
def test_any_reference_makes_a_grid_that_holds_it(reference: Rows) -> None:
    grid = grid_from_rows(["a", "b", "c"], reference)
    assert grid.bins <= 16
    assert (grid.place(reference) >= 0).tolist() == (~np.isnan(reference)).tolist()


def test_digest_tells_every_part_of_a_grid_apart() -> None:
    lookup = lookup_from_starts([0, 2, 3], 4)[None]
    parts = {"names": ("a",), "low": np.zeros(1), "cell": np.ones(1), "lookup": lookup}
    changes = {
        "names": ("b",),
        "low": np.ones(1),
        "cell": np.full(1, 2.0),
        "lookup": lookup_from_starts([0, 1, 3], 4)[None],
    }
    digests = {Grid(**(parts | {name: value})).digest for name, value in changes.items()}  # type: ignore[arg-type]  # one part each
    assert len(digests | {Grid(**parts).digest}) == 5  # type: ignore[arg-type]  # the parts


def test_digest_does_not_mix_up_neighbouring_names() -> None:
    table = np.zeros((1, 2))
    assert grid_from_rows(["ab", "c"], table).digest != grid_from_rows(["a", "bc"], table).digest


@pytest.mark.parametrize(
    ("low", "cell", "lookup"),
    [
        (np.zeros(2), np.ones(1), [[0, 1]]),
        (np.zeros(1), np.ones(1), [[0, 1], [0, 1]]),
        (np.zeros(1), np.zeros(1), [[0, 1]]),
        (np.zeros(1), -np.ones(1), [[0, 1]]),
        (np.array([np.inf]), np.ones(1), [[0, 1]]),
        (np.zeros(1), np.array([np.nan]), [[0, 1]]),
        (np.zeros(1), np.ones(1), [[1, 1]]),
        (np.zeros(1), np.ones(1), [[0, 2]]),
        (np.zeros(1), np.ones(1), [[0, 1, 0]]),
        (np.zeros(1), np.ones(1), [[]]),
    ],
)
def test_what_is_no_grid_is_refused(
    low: NDArray[np.float64], cell: NDArray[np.float64], lookup: list[list[int]]
) -> None:
    with pytest.raises(ValueError, match=r"cell|bins|shape|lookup"):
        Grid(names=("a",), low=low, cell=cell, lookup=np.array(lookup, np.uint8))


@pytest.mark.parametrize("starts", [[], [1], [0, 0], [0, 3, 2], [0, 4096], list(range(300))])
def test_starts_that_do_not_rise_from_0_are_refused(starts: list[int]) -> None:
    with pytest.raises(ValueError, match="rise"):
        lookup_from_starts(starts, 4096)


def test_more_cells_than_are_ever_used_take_no_memory() -> None:
    with pytest.raises(ValueError, match="at most 4096"):
        lookup_from_starts([0], 2**62)


@pytest.mark.parametrize(
    ("columns", "bins", "cells"), [(1, 2, 64), (1, 300, 4096), (1, 65, 64), (1, 3, 5000), (2, 3, 9)]
)
def test_grid_beyond_its_bounds_is_refused(columns: int, bins: int, cells: int) -> None:
    with pytest.raises(ValueError, match=r"bins|rows"):
        grid_from_rows(["a"], np.zeros((4, columns)), bins=bins, cells=cells)
