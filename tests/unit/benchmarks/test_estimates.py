# SPDX-License-Identifier: Apache-2.0
"""What paired rounds say: differences of medians, and ratios of tails."""

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.estimates import (
    difference_interval,
    mean_ratio,
    percentile_difference,
    percentile_ratio,
)

Blocks = list[NDArray[np.int64]]


def blocks(*rounds: list[int]) -> Blocks:
    return [np.array(latencies, np.int64) for latencies in rounds]


def drifting(rounds: int, added: int) -> Blocks:
    """Return rounds that are each slower than the one before, by far more than `added`."""
    return [np.full(9, 1000 * (index + 1) + added, np.int64) for index in range(rounds)]


def test_difference_is_exact_when_both_sides_drift_alike() -> None:
    assert difference_interval(drifting(12, 7), drifting(12, 0)) == (7.0, 7.0, 7.0)


def test_difference_covers_what_rounds_disagree_about() -> None:
    value, low, high = difference_interval(blocks([3], [5], [7]), blocks([1], [1], [1]))
    assert value == 4.0
    assert low == 2.0
    assert high == 6.0


def test_percentile_ratio_pools_rounds_before_it_takes_the_tail() -> None:
    measured = blocks([10] * 99 + [900], *[[10] * 100] * 4)
    peer = blocks(*[[10] * 100] * 5)
    assert percentile_ratio(measured, peer, 50) == (1.0, 1.0, 1.0)
    assert percentile_ratio(measured, peer, 99)[0] == 1.0
    value, low, high = percentile_ratio(measured, peer, 100)
    assert (value, low, high) == (90.0, 1.0, 90.0)


def test_percentile_difference_is_of_the_same_pooled_tails() -> None:
    measured, peer = blocks([10] * 99 + [900], *[[10] * 100] * 4), blocks(*[[10] * 100] * 5)
    assert percentile_difference(measured, peer, 99)[0] == 0.0
    assert percentile_difference(measured, peer, 100) == (890.0, 0.0, 890.0)


def test_percentile_ratio_keeps_the_sides_of_a_round_together() -> None:
    assert percentile_ratio(drifting(10, 0), drifting(10, 0), 99) == (1.0, 1.0, 1.0)


def test_percentile_ratio_is_the_same_every_time() -> None:
    random = np.random.default_rng(0)
    measured, peer = random.integers(1, 1000, (2, 8, 30))
    assert percentile_ratio(list(measured), list(peer), 90) == percentile_ratio(
        list(measured), list(peer), 90
    )


def test_mean_ratio_weighs_calls_and_not_rounds() -> None:
    measured, peer = blocks([1] * 9, [21]), blocks([1] * 9, [1])
    value, low, high = mean_ratio(measured, peer)
    assert (value, low, high) == (3.0, 1.0, 21.0)
    assert mean_ratio(drifting(10, 0), drifting(10, 0)) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("measured", "peer"),
    [(blocks(), blocks()), (blocks([1]), blocks([1], [1])), (blocks([1], []), blocks([1], [1]))],
)
def test_estimates_refuse_rounds_that_do_not_pair(measured: Blocks, peer: Blocks) -> None:
    with pytest.raises(ValueError, match="round"):
        percentile_ratio(measured, peer, 99)
