# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from insight_edge.stats.significance import adjust, homogeneity


def chi_square_tail(distance: float, free: int) -> float:
    """Return the exact tail for an even number of degrees of freedom (DLMF 8.4.10)."""
    half = distance / 2
    return math.exp(-half) * sum(half**k / math.factorial(k) for k in range(free // 2))


def test_homogeneity_is_the_chi_square_test_within_a_few_percent() -> None:
    random = np.random.default_rng(3)
    one = random.multinomial(700, np.full(17, 1 / 17), 40)
    other = random.multinomial(200, np.linspace(0.8, 1.2, 17) / 17, 40)
    share = (one + other) / 900
    distance = (
        (one - 700 * share) ** 2 / (700 * share) + (other - 200 * share) ** 2 / (200 * share)
    ).sum(1)
    exact = [chi_square_tail(value, 16) for value in distance]
    assert homogeneity(one, other) == pytest.approx(exact, rel=0.1)


def test_homogeneity_is_uniform_where_nothing_changed() -> None:
    random = np.random.default_rng(4)
    one = random.multinomial(700, np.full(10, 0.1), 2000)
    other = random.multinomial(200, np.full(10, 0.1), 2000)
    found = np.quantile(homogeneity(one, other), [0.01, 0.1, 0.5, 0.9])
    assert found == pytest.approx([0.01, 0.1, 0.5, 0.9], abs=0.03)


def test_a_feature_with_one_cell_surprises_nobody() -> None:
    assert homogeneity(np.array([[0, 7, 0]]), np.array([[0, 3, 0]])) == pytest.approx([1.0])


@given(arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1)))
def test_adjusted_rates_are_those_of_benjamini_and_hochberg(p_values: NDArray[np.float64]) -> None:
    def rate(p_value: float) -> float:
        """Return the least rate at which everything up to some p-value from this one on counts."""
        ends = [end for end in p_values if end >= p_value]
        return min(1.0, *(float(end * len(p_values) / (p_values <= end).sum()) for end in ends))

    assert adjust(p_values) == pytest.approx([rate(value) for value in p_values])
