# SPDX-License-Identifier: Apache-2.0
"""Percentiles cover the truth as often as they say, whatever the latencies look like."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.stats.early_stopping import queries_needed
from insight_edge.stats.tail import Tail, percentile

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]

TRIALS = 300
ALLOWANCE = 0.025
"""Two standard errors of a share near 95 % among so many trials."""


def lognormal(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    return random.lognormal(0, 0.5, count)


def heavy(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    return random.pareto(1.5, count) + 1


def bimodal(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    slow = random.random(count) < 0.3
    return np.where(slow, 5.0, 1.0) * random.lognormal(0, 0.02, count)


def ticks(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Return what a coarse clock tells: few different values, each many times."""
    return np.ceil(3 * random.standard_exponential(count))


def tails(draw: Draw, share: float, rounds: int, size: int) -> list[Tail]:
    found = []
    for seed in range(TRIALS):
        random = np.random.default_rng((seed, rounds))
        found.append(percentile([draw(random, size) for _ in range(rounds)], share))
    assert None not in found
    return [one for one in found if one is not None]


def truth(draw: Draw, share: float) -> float:
    drawn = np.sort(draw(np.random.default_rng(0), 2_000_001))
    return float(drawn[int(np.ceil(share * len(drawn))) - 1])


def share_of(held: Sequence[bool]) -> float:
    return float(np.mean(held))


@pytest.mark.parametrize("draw", [lognormal, heavy, bimodal, ticks])
@pytest.mark.parametrize(("share", "rounds", "size"), [(0.9, 8, 8), (0.5, 10, 30), (0.99, 20, 40)])
def test_interval_and_bound_cover_as_often_as_they_say(
    draw: Draw, share: float, rounds: int, size: int
) -> None:
    true, found = truth(draw, share), tails(draw, share, rounds, size)
    assert share_of([one.low <= true <= one.high for one in found]) >= 0.95 - ALLOWANCE
    assert share_of([true <= one.at_most for one in found]) >= 0.99 - ALLOWANCE / 2


def test_rounds_that_are_slow_as_a_whole_widen_the_interval() -> None:
    def disturbed(random: np.random.Generator, count: int) -> NDArray[np.float64]:
        return random.lognormal(0, 0.3) * random.lognormal(0, 0.05, count)

    found = tails(disturbed, 0.75, 20, 50)
    true = truth(lambda random, count: random.lognormal(0, np.hypot(0.3, 0.05), count), 0.75)
    assert share_of([one.low <= true <= one.high for one in found]) >= 0.95 - ALLOWANCE
    alone = [percentile([np.random.default_rng(0).lognormal(0, 0.3, 1000)], 0.75)]
    widths = [one.high - one.low for one in found]
    assert alone[0] is not None
    assert np.median(widths) > 2 * (alone[0].high - alone[0].low)


@given(
    st.lists(st.integers(1, 10**9), min_size=64, max_size=200),
    st.integers(1, 7),
    st.sampled_from([0.5, 0.9]),
)
def test_percentile_is_one_of_the_latencies_and_within_its_ends(
    latencies: list[int], rounds: int, share: float
) -> None:
    drawn = np.array(latencies, np.int64)
    found = percentile(np.array_split(drawn, rounds), share)
    assert found is not None
    assert found.value == np.quantile(drawn, share, method="inverted_cdf")
    assert found.low <= found.value <= min(found.high, found.at_most)
    assert {found.low, found.value, found.high, found.at_most} <= set(drawn.astype(float).tolist())


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_too_few_latencies_have_no_percentile(share: float) -> None:
    drawn = np.arange(queries_needed(share))
    assert percentile([drawn], share) is not None
    assert percentile([drawn[1:]], share) is None
    assert percentile([], share) is None


def test_queries_without_an_answer_are_slower_than_all() -> None:
    drawn = [np.concatenate([np.ones(90), np.full(10, np.inf)])] * 10
    half, most = percentile(drawn, 0.5), percentile(drawn, 0.95)
    assert half is not None
    assert most is not None
    assert (half.value, half.at_most, most.value) == (1, 1, np.inf)
