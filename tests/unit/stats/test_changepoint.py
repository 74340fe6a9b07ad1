# SPDX-License-Identifier: Apache-2.0
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.stats import changepoint
from insight_edge.stats.changepoint import SHORTEST, segment_starts, steady_from

SPREAD = 0.01


def series(*levels: tuple[float, int], seed: int = 0) -> list[float]:
    random = np.random.default_rng(seed)
    parts = [level + SPREAD * random.standard_normal(count) for level, count in levels]
    return list(np.concatenate(parts))


def cost(values: list[float], starts: tuple[int, ...], spread: float) -> float:
    """Return what a segmentation costs, worked out anew."""
    scaled = np.array(values) / spread
    ends = (*starts[1:], len(values))
    within = sum(
        float(((scaled[a:b] - scaled[a:b].mean()) ** 2).sum())
        for a, b in zip(starts, ends, strict=True)
    )
    return within + 3 * float(np.log(len(values))) * (len(starts) - 1)


@pytest.mark.parametrize("seed", range(20))
def test_change_of_ten_spreads_is_found_where_it_is(seed: int) -> None:
    values = series((1.0, 20), (1.1, 15), (0.9, 30), seed=seed)
    assert segment_starts(values, least_spread=0) == (0, 20, 35)


@pytest.mark.parametrize("seed", range(20))
def test_level_that_does_not_change_is_one_segment(seed: int) -> None:
    assert segment_starts(series((1.0, 80), seed=seed), least_spread=SPREAD) == (0,)


@given(st.lists(st.sampled_from([0.0, 0.01, 0.4, 1.0]), min_size=4, max_size=10))
def test_no_segmentation_costs_less(values: list[float]) -> None:
    """Against all segmentations there are."""
    spread = max(changepoint._spread(np.array(values)), SPREAD)
    inner = range(1, len(values))
    every = [(0, *cut) for size in range(len(values)) for cut in combinations(inner, size)]
    allowed = [each for each in every if min(np.diff((*each, len(values)))) >= SHORTEST]
    least = min(cost(values, each, spread) for each in allowed)
    found = segment_starts(values, least_spread=SPREAD)
    assert cost(values, found, spread) == pytest.approx(least)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([(3.0, 5), (1.0, 30)], 5),
        ([(1.0, 40)], 0),
        ([(3.0, 5), (2.0, 10), (1.0, 15)], 15),
        ([(2.0, 10), (1.03, 10), (1.0, 20)], 10),
        ([(1.0, 20), (1.5, 6), (1.0, 10)], 26),
    ],
)
def test_steady_part_begins_after_the_last_change_that_matters(
    levels: list[tuple[float, int]], expected: int
) -> None:
    assert steady_from(series(*levels), tolerance=0.05, least_spread=SPREAD) == expected


def test_outlier_is_no_change() -> None:
    values = series((1.0, 30))
    values[12] = 1.05
    assert steady_from(values, tolerance=0.02, least_spread=SPREAD) == 0


def test_series_too_short_to_change_is_one_level() -> None:
    assert segment_starts([1.0], least_spread=0.1) == (0,)
    assert segment_starts([1.0, 2.0, 3.0], least_spread=0.1) == (0,)
