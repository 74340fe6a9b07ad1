# SPDX-License-Identifier: Apache-2.0
import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.stats.paired import MAX_ROWS, loss_bound, rows_needed, upper_bound

MOST_DISCORDANT = 40


@st.composite
def counts(draw: st.DrawFn, *, most: int = 2000) -> tuple[int, int, int]:
    rows = draw(st.integers(1, most))
    losses = draw(st.integers(0, min(rows, 60)))
    return rows, losses, draw(st.integers(0, min(rows - losses, 60)))


def flags(text: str) -> NDArray[np.bool_]:
    return np.array([letter == "1" for letter in text], np.bool_)


def test_loss_counts_rows_that_only_one_has_right() -> None:
    loss = loss_bound(flags("1111100"), flags("0011110"))
    assert (loss.rows, loss.losses, loss.gains) == (7, 2, 1)
    assert loss.drop == pytest.approx(1 / 7)
    assert loss.upper == upper_bound(7, 2, 1)


def test_nothing_is_known_of_a_loss_on_no_rows() -> None:
    loss = loss_bound(flags(""), flags(""))
    assert (loss.drop, loss.upper) == (0.0, 1.0)


def test_answers_to_different_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        loss_bound(flags("11"), flags("111"))


@pytest.mark.parametrize(("rows", "losses", "gains"), [(-1, 0, 0), (5, -1, 0), (5, 3, 3)])
def test_counts_beyond_the_rows_are_refused(rows: int, losses: int, gains: int) -> None:
    with pytest.raises(ValueError, match="losses"):
        upper_bound(rows, losses, gains)


@pytest.mark.parametrize(("rows", "losses", "gains"), [(200, 30, 20), (44, 9, 5), (900, 40, 70)])
def test_bound_is_where_tangos_statistic_reaches_the_quantile(
    rows: int, losses: int, gains: int
) -> None:
    confidence = 0.975 if losses > gains else 0.9999999
    bound = upper_bound(rows, losses, gains, confidence=confidence)
    share = likeliest_gain_rate(rows, losses, gains, bound)
    variance = rows * (2 * share + bound * (1 - bound))
    statistic = (losses - gains - rows * bound) / math.sqrt(variance)
    assert statistic == pytest.approx(-NormalDist().inv_cdf(confidence), abs=1e-6)


def likeliest_gain_rate(rows: int, losses: int, gains: int, difference: float) -> float:
    """Return the gain rate that makes the counts likeliest, by search where Tango has a formula."""

    def log_likelihood(share: float) -> float:
        kept = rows - losses - gains
        return (
            losses * math.log(share + difference)
            + gains * math.log(share)
            + kept * math.log(1 - difference - 2 * share)
        )

    low, high = 1e-12, (1 - difference) / 2 - 1e-12
    for _ in range(200):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if log_likelihood(left) < log_likelihood(right):
            low = left
        else:
            high = right
    return (low + high) / 2


@given(st.integers(1, 10**6))
def test_bound_without_a_lost_row_is_at_least_the_exact_one(rows: int) -> None:
    assert upper_bound(rows, 0, 0) >= (1 - 0.05 ** (1 / rows)) * (1 - 1e-9)


@given(counts())
def test_bound_is_above_the_measured_loss_and_below_1(drawn: tuple[int, int, int]) -> None:
    rows, losses, gains = drawn
    assert max(0.0, (losses - gains) / rows) <= upper_bound(rows, losses, gains) <= 1


@given(counts())
def test_bound_rises_with_losses_and_falls_with_rows_and_gains(
    drawn: tuple[int, int, int],
) -> None:
    rows, losses, gains = drawn
    bound = upper_bound(rows + 1, losses, gains)
    slack = 1e-12
    assert upper_bound(rows + 1, losses + 1, gains) >= bound - slack or losses + gains > rows
    assert upper_bound(rows + 2, losses, gains) <= bound + slack or losses < gains
    assert upper_bound(rows, losses, gains, confidence=0.99) >= upper_bound(rows, losses, gains)


def test_360_rows_prove_what_the_decision_record_says() -> None:
    assert upper_bound(360, 2, 0) <= 0.02 < upper_bound(360, 3, 0)
    assert upper_bound(360, 0, 0) <= 0.01 < upper_bound(360, 1, 0)


@lru_cache
def bounds(rows: int) -> NDArray[np.float64]:
    """Return the bound for every count of losses and gains up to `MOST_DISCORDANT`."""
    most = range(min(rows, MOST_DISCORDANT) + 1)
    return np.array(
        [
            [upper_bound(rows, lost, won) if lost + won <= rows else np.nan for won in most]
            for lost in most
        ]
    )


@pytest.mark.parametrize("rows", [60, 360, 1000])
@pytest.mark.parametrize("gain_rate", [1e-6, 0.001, 0.005])
@pytest.mark.parametrize("loss", [0.001, 0.003, 0.005, 0.01])
def test_bound_covers_the_true_loss_as_often_as_it_says(
    rows: int, gain_rate: float, loss: float
) -> None:
    """Add up the probability of every outcome whose bound holds: no simulation error."""
    table = bounds(rows)
    lost, won = np.indices(table.shape)
    logs = np.array([math.lgamma(k + 1) for k in range(rows + 1)])
    kept = rows - lost - won
    chances = np.exp(
        logs[rows] - logs[lost] - logs[won] - logs[np.maximum(kept, 0)]
        + lost * math.log(gain_rate + loss)
        + won * math.log(gain_rate)
        + kept * math.log1p(-loss - 2 * gain_rate)
    )  # fmt: skip
    chances[kept < 0] = 0
    assert chances.sum() == pytest.approx(1, abs=1e-4)
    assert chances[table >= loss].sum() >= 0.94


def test_bound_covers_in_simulated_evaluations_of_360_rows() -> None:
    random = np.random.default_rng(17)
    for lost_rate, won_rate in ((0.01, 0.0), (0.02, 0.01), (0.05, 0.04)):
        draws = random.multinomial(360, [lost_rate, won_rate, 1 - lost_rate - won_rate], 2000)
        cases, times = np.unique(draws[:, :2], axis=0, return_counts=True)
        held = [upper_bound(360, int(a), int(b)) >= lost_rate - won_rate for a, b in cases]
        assert (times * held).sum() / times.sum() >= 0.94


@given(counts(most=400), st.floats(0.001, 0.2))
def test_rows_needed_is_the_least_that_proves_the_budget(
    drawn: tuple[int, int, int], budget: float
) -> None:
    rows, losses, gains = drawn
    needed = rows_needed(rows, losses, gains, budget=budget)
    if needed == MAX_ROWS:
        return
    # Whole multiples of what was seen have exactly its rates.
    times = -(-needed // rows)
    assert upper_bound(times * rows, times * losses, times * gains) <= budget + 1e-12
    if needed > rows:
        fewer = (needed - 1) // rows
        assert upper_bound(fewer * rows, fewer * losses, fewer * gains) > budget - 1e-12


def test_rows_needed_without_a_difference_is_that_of_the_exact_bound() -> None:
    for budget in (0.001, 0.01, 0.02, 0.1):
        least = math.ceil(math.log(0.05) / math.log1p(-budget))
        assert rows_needed(0, 0, 0, budget=budget) == least
        assert rows_needed(100, 0, 0, budget=budget) == least
        assert upper_bound(least, 0, 0) <= budget < upper_bound(least - 1, 0, 0)


def test_rows_needed_grows_with_losses_and_shrinks_with_the_budget() -> None:
    by_losses = [rows_needed(360, losses, 0, budget=0.02) for losses in range(9)]
    assert by_losses == sorted(by_losses)
    by_budget = [rows_needed(360, 3, 0, budget=budget / 1000) for budget in range(9, 40)]
    assert by_budget == sorted(by_budget, reverse=True)
    assert by_budget[0] < MAX_ROWS


@pytest.mark.parametrize(
    ("rows", "losses", "gains", "budget"), [(100, 2, 0, 0.02), (100, 5, 1, 0.02), (0, 0, 0, 0.0)]
)
def test_no_number_of_rows_proves_a_loss_beyond_the_budget(
    rows: int, losses: int, gains: int, budget: float
) -> None:
    assert rows_needed(rows, losses, gains, budget=budget) == MAX_ROWS
