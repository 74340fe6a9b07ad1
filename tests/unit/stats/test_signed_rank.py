# SPDX-License-Identifier: Apache-2.0
"""Intervals by signed ranks: against published tables, and among whatever a machine may do."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.stats.signed_rank import pairs_needed, signed_rank_interval, signed_rank_p

Values = NDArray[np.float64]

differences = st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=1, max_size=24)

LAUNCHES, ROUNDS, TIMES = 11, 5, 800
MOST_ALARMS = 64
"""Of 800 at a chance of 5 %: more come once in 5000 times."""


def test_estimate_and_interval_of_a_published_example() -> None:
    """Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd ed., example 3.1."""
    depression = [-0.952, 0.147, -1.022, -0.430, -0.620, -0.590, -0.490, 0.080, -0.010]
    value, low, high = signed_rank_interval(depression, confidence=0.96)
    assert (value, low, high) == pytest.approx((-0.460, -0.786, -0.010))
    assert signed_rank_p(depression) == pytest.approx(2 * 0.0195, abs=1e-4)


@pytest.mark.parametrize(("confidence", "pairs"), [(0.95, 6), (0.975, 7), (0.99, 8), (0.5, 2)])
def test_an_interval_takes_so_many_pairs(confidence: float, pairs: int) -> None:
    above = np.linspace(1, 2, pairs)
    assert pairs_needed(confidence) == pairs
    assert signed_rank_p(above) <= 1 - confidence < signed_rank_p(above[1:])


@pytest.mark.parametrize("size", [6, 9])
def test_no_difference_is_left_out_by_no_more_signs_than_stated(size: int) -> None:
    """All signs that a lot can draw, counted: no simulation."""
    magnitudes = np.random.default_rng(size).exponential(size=size) ** 3
    drawn = [magnitudes * signs for signs in product((-1.0, 1.0), repeat=size)]
    p_values = np.array([signed_rank_p(one) for one in drawn])
    for level in (0.05, 0.1, 0.32):
        assert np.mean(p_values <= level) <= level
    left_out = [low > 0 or high < 0 for _, low, high in map(signed_rank_interval, drawn)]
    assert 0.025 < np.mean(left_out) <= 0.05


@given(differences, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_interval_and_p_value_agree(drawn: list[float], confidence: float) -> None:
    value, low, high = signed_rank_interval(drawn, confidence=confidence)
    assert low <= value <= high
    if len(drawn) >= pairs_needed(confidence):
        assert (low > 0 or high < 0) == (signed_rank_p(drawn) <= 1 - confidence + 1e-12)


@given(differences)
def test_the_other_way_round_is_the_opposite(drawn: list[float]) -> None:
    value, low, high = signed_rank_interval(drawn)
    assert signed_rank_interval([-one for one in drawn]) == pytest.approx((-value, -high, -low))
    assert signed_rank_p([-one for one in drawn]) == signed_rank_p(drawn)


def test_nothing_has_no_interval() -> None:
    with pytest.raises(ValueError, match="pair"):
        signed_rank_interval([])
    with pytest.raises(ValueError, match="confidence"):
        pairs_needed(1.0)


def steady(random: np.random.Generator) -> Values:
    return random.standard_normal((LAUNCHES, ROUNDS, 2))


def drifting(random: np.random.Generator) -> Values:
    """A machine that warms up: what comes later is slower, and a walk on top."""
    slots = random.standard_normal(LAUNCHES * ROUNDS * 2)
    walk = slots.cumsum() + np.linspace(0, 40, len(slots))
    return np.asarray(walk.reshape(LAUNCHES, ROUNDS, 2))


def correlated(random: np.random.Generator) -> Values:
    slots = random.standard_normal(LAUNCHES * ROUNDS * 2)
    for at in range(1, len(slots)):
        slots[at] += 0.95 * slots[at - 1]
    return np.asarray(slots.reshape(LAUNCHES, ROUNDS, 2))


def bursts(random: np.random.Generator) -> Values:
    """Another program for a while: ten times as slow, from the middle of a round or a launch on."""
    slots = random.standard_normal(LAUNCHES * ROUNDS * 2)
    for begin in random.integers(0, len(slots), 4):
        slots[begin : begin + random.integers(1, 15)] += random.exponential(50)
    return np.asarray(slots.reshape(LAUNCHES, ROUNDS, 2))


def lucky(random: np.random.Generator) -> Values:
    """Processes that keep one of two speeds for life, and who is started first the better one."""
    speeds = random.choice([0.0, 20.0], (LAUNCHES, 1, 2), p=[0.6, 0.4]) + np.array([0.0, 5.0])
    return np.asarray(random.standard_normal((LAUNCHES, ROUNDS, 2)) + speeds)


def ticking(random: np.random.Generator) -> Values:
    """In step with the launches: the one that is asked first is slower, in every other launch."""
    found = 0.1 * random.standard_normal((LAUNCHES, ROUNDS, 2))
    found[::2, :, 0] += 3
    return np.asarray(found)


@pytest.mark.parametrize("machine", [steady, drifting, correlated, bursts, lucky, ticking])
def test_like_things_are_called_different_as_often_as_stated(
    machine: Callable[[np.random.Generator], Values],
) -> None:
    """Who goes first is drawn by lot, in each launch: then no machine can make more of them."""
    random, alarms = np.random.default_rng(5), 0
    for _ in range(TIMES):
        slots = machine(random)
        first = random.integers(0, 2, (LAUNCHES, 1 if machine is lucky else ROUNDS, 1))
        one, other = (np.take_along_axis(slots, side, 2)[..., 0] for side in _sides(first))
        _, low, high = signed_rank_interval(np.median(other - one, axis=1))
        alarms += low > 0 or high < 0
    assert alarms <= MOST_ALARMS


def _sides(first: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    wide = np.broadcast_to(first, (LAUNCHES, ROUNDS, 1))
    return wide, 1 - wide
