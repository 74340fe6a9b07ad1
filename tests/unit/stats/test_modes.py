# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.stats.modes import two_modes

Draw = Callable[[np.random.Generator], NDArray[np.float64]]
COUNT = 1000

UNIMODAL: dict[str, Draw] = {
    "lognormal": lambda random: random.lognormal(0, 0.3, COUNT),
    "narrow": lambda random: 1 + 0.01 * random.standard_normal(COUNT),
    "exponential": lambda random: 1 + random.standard_exponential(COUNT),
    "heavy": lambda random: 1 + random.pareto(1.2, COUNT),
    "uniform": lambda random: random.uniform(1, 10, COUNT),
    "ticks": lambda random: np.ceil(5 * random.lognormal(0, 0.5, COUNT)),
    "two ticks": lambda random: np.where(random.random(COUNT) < 0.5, 7.0, 8.0),
    "outliers": lambda random: np.append(random.lognormal(0, 0.1, COUNT - 20), np.full(20, 100.0)),
}


def mixture(random: np.random.Generator, share: float, ratio: float) -> NDArray[np.float64]:
    slow = random.random(COUNT) >= share
    return np.where(slow, ratio, 1.0) * random.lognormal(0, 0.02, COUNT)


@pytest.mark.parametrize("name", UNIMODAL)
def test_one_mode_is_not_said_to_be_two(name: str) -> None:
    said = [two_modes(UNIMODAL[name](np.random.default_rng(seed))) for seed in range(300)]
    assert sum(found is not None for found in said) <= 1


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7, 0.92])
@pytest.mark.parametrize("ratio", [1.25, 2.0, 50.0])
def test_two_modes_are_found_with_their_shares(share: float, ratio: float) -> None:
    for seed in range(20):
        found = two_modes(mixture(np.random.default_rng(seed), share, ratio))
        assert found is not None
        lower, upper = found
        assert lower.share == pytest.approx(share, abs=0.05)
        assert lower.share + upper.share == pytest.approx(1)
        assert (lower.at, upper.at) == pytest.approx((1, ratio), rel=0.02)


def test_modes_are_found_beside_an_outlier_far_away() -> None:
    drawn = mixture(np.random.default_rng(0), 0.6, 1.5)
    drawn[:5] = 1000.0
    assert two_modes(drawn) is not None


@pytest.mark.parametrize(("share", "ratio"), [(0.98, 3.0), (0.5, 1.05)])
def test_what_does_not_matter_is_not_told(share: float, ratio: float) -> None:
    assert two_modes(mixture(np.random.default_rng(0), share, ratio)) is None


@given(st.lists(st.one_of(st.integers(0, 10**9), st.just(float("inf"))), max_size=300))
def test_anything_has_an_answer(latencies: list[float]) -> None:
    found = two_modes(latencies)
    assert found is None or found[0].at < found[1].at
