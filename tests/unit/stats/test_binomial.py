# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.stats.binomial import binomial_tail


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.data())
def test_tail_is_the_sum_of_its_terms(counts: tuple[int, int], data: st.DataObject) -> None:
    successes, total = counts
    share = data.draw(st.floats(0.001, 0.999))
    terms = (
        math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(successes + 1)
    )
    assert binomial_tail(successes, total, share) == pytest.approx(math.fsum(terms), abs=1e-11)


def test_tail_between_whole_counts_lies_between_theirs() -> None:
    tails = [binomial_tail(k / 4, 50, 0.1) for k in range(40)]
    assert tails == sorted(tails)


@pytest.mark.parametrize(("share", "tail"), [(0.0, 1.0), (1.0, 0.0), (-0.5, 1.0), (1.5, 0.0)])
def test_tail_at_the_ends_is_certain(share: float, tail: float) -> None:
    assert binomial_tail(3, 10, share) == tail
    assert binomial_tail(10, 10, share) == 1.0


def test_tail_of_a_thousand_million_converges() -> None:
    # So many and so rare are a Poisson distribution.
    poisson = math.fsum(math.exp(-6) * 6**k / math.factorial(k) for k in range(3))
    assert binomial_tail(2, 1e9, 6e-9) == pytest.approx(poisson, rel=1e-5)
