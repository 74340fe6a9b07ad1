# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.stats.distance import count_cells, psi
from insight_edge.stats.grid import grid_from_rows
from insight_edge.stats.threshold import (
    DRAWS_IN_THE_TAIL,
    FIRM_BLOCKS,
    MIN_BLOCKS,
    WINDOWS,
    Rows,
    Threshold,
    draw_threshold,
    window_size,
)

NAMES = tuple("abcdef")


def independent(rows: int, seed: int) -> Rows:
    return np.random.default_rng(seed).normal(size=(rows, len(NAMES)))


def sensor(rows: int, seed: int, *, memory: float = 0.97) -> Rows:
    """Return rows that depend on the one before them (an AR(1) stream a feature)."""
    noise = np.random.default_rng(seed).normal(size=(rows, len(NAMES)))
    values = np.empty_like(noise)
    values[0] = noise[0]
    for row in range(1, rows):
        values[row] = memory * values[row - 1] + (1 - memory**2) ** 0.5 * noise[row]
    return values


def drawn(reference: Rows, window_rows: int, *, budget: float = 0.01, seed: int = 0) -> Threshold:
    grid = grid_from_rows(NAMES, reference)
    threshold = draw_threshold(grid, reference, window_rows=window_rows, budget=budget, seed=seed)
    assert threshold is not None
    return threshold


def above(reference: Rows, field: Rows, window_rows: int, limit: Threshold) -> float:
    """Return the share of the field's windows that are above a limit."""
    grid = grid_from_rows(NAMES, reference)
    before = count_cells(grid, reference).counts
    windows = field[: len(field) // window_rows * window_rows].reshape(-1, window_rows, len(NAMES))
    scores = [
        psi(before, count_cells(grid, window).counts, window_rows=limit.window_rows).max()
        for window in windows
    ]
    return float((np.array(scores) > limit.limit).mean())


def false_alarms(window_rows: int, field_rows: int) -> float:
    """Return the share of windows like the reference that are above, over many references."""
    shares = []
    for seed in range(12):
        reference = independent(MIN_BLOCKS * window_rows, seed)
        limit = drawn(reference, window_rows, budget=0.05)
        field = independent(100 * field_rows, 1000 + seed)
        shares.append(above(reference, field, field_rows, limit))
    return float(np.mean(shares))


def test_windows_like_the_reference_are_above_as_often_as_the_budget_says() -> None:
    # Red where the window is scored against a reference that holds it (one sample): 0.16.
    assert 0.02 < false_alarms(100, 100) < 0.08


def test_a_limit_serves_for_windows_of_more_rows() -> None:
    assert false_alarms(100, 150) < 0.01


def test_blocks_keep_the_budget_on_a_sensor_stream_where_shuffled_rows_do_not() -> None:
    reference, field = sensor(FIRM_BLOCKS * 200, 1), sensor(200 * 200, 2)
    threshold = drawn(reference, 200)
    assert threshold.depends
    assert threshold.is_firm
    assert above(reference, field, 200, threshold) < 0.08
    shuffled = reference[np.random.default_rng(0).permutation(len(reference))]
    without_time = drawn(shuffled, 200)
    assert not without_time.depends
    assert above(reference, field, 200, without_time) > 0.9


def test_independent_rows_are_firm_with_few_blocks() -> None:
    few = drawn(independent(MIN_BLOCKS * 100, 1), 100)
    assert not few.depends
    assert few.is_firm


def test_dependent_rows_are_not_firm_with_few_blocks() -> None:
    few = drawn(sensor((FIRM_BLOCKS - 1) * 100, 5), 100)
    assert few.depends
    assert not few.is_firm


def test_limits_are_the_same_again_and_others_for_another_seed() -> None:
    reference = independent(600, 3)
    assert drawn(reference, 100) == drawn(reference, 100)
    assert drawn(reference, 100, seed=1).limit != drawn(reference, 100).limit


def test_limits_grow_with_smaller_windows_and_budgets() -> None:
    reference = independent(1200, 3)
    limits = [drawn(reference, size).limit for size in (200, 100, 50, 25)]
    assert limits == sorted(limits)
    budgets = [drawn(reference, 100, budget=budget).limit for budget in (0.2, 0.05, 0.01, 0.001)]
    assert budgets == sorted(budgets)


def test_a_small_budget_takes_more_draws() -> None:
    assert drawn(independent(200, 0), 25, budget=0.001).draws == DRAWS_IN_THE_TAIL * 1000


def test_too_few_blocks_give_no_limit() -> None:
    reference = independent(MIN_BLOCKS * 100 - 1, 0)
    grid = grid_from_rows(NAMES, reference)
    assert draw_threshold(grid, reference, window_rows=100, budget=0.01) is None


@pytest.mark.parametrize(("budget", "rows"), [(0, 50), (0.3, 50), (float("nan"), 50), (0.01, 0)])
def test_what_is_no_budget_or_window_is_refused(budget: float, rows: int) -> None:
    reference = independent(500, 0)
    grid = grid_from_rows(NAMES, reference)
    with pytest.raises(ValueError, match="windows of"):
        draw_threshold(grid, reference, window_rows=rows, budget=budget)


@given(st.integers(0, 20_000), st.integers(0, 100_000))
def test_window_sizes_are_no_larger_than_the_window_and_leave_blocks(rows: int, held: int) -> None:
    size = window_size(rows, held)
    fits = [one for one in WINDOWS if one <= rows and one * MIN_BLOCKS <= held]
    assert size == (max(fits) if fits else None)


def test_a_reference_that_holds_the_new_world_tolerates_it_if_windows_fit_into_it() -> None:
    old, field = independent(700, 1), independent(4000, 2) + 2.0
    for labelled, expected in ((60, 1.0), (150, 0.0)):
        reference = np.vstack([old, independent(labelled, 3) + 2.0])
        limit = drawn(reference, 100)
        for window_rows in (100, 200):
            share = above(reference, field, window_rows, limit)
            assert share == pytest.approx(expected, abs=0.05)
