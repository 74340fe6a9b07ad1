# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.runtime.share import Share
from insight_edge.stats.binomial import binomial_tail

KEYS = 4000
parts = st.floats(0, 1)


@given(key=st.text(), salt=st.text(), one=parts, other=parts)
def test_key_is_sticky_and_a_share_that_grows_lets_none_go(
    key: str, salt: str, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    assert (key in Share(one, salt)) is (key in Share(one, salt))
    assert not (key in Share(less, salt) and key not in Share(more, salt))
    assert key in Share(1.0, salt)
    assert key not in Share(0.0, salt)


@given(part=st.floats(0.01, 0.99), salt=st.text(max_size=20))
def test_share_of_keys_is_the_one_asked_for(part: float, salt: str) -> None:
    share = Share(part, salt)
    taken = sum(f"order-{number}" in share for number in range(KEYS))
    # One in a million each way; with 100 examples, once in 5000 runs were keys not drawn the same.
    assert binomial_tail(taken, KEYS, part) > 1e-6
    assert binomial_tail(KEYS - taken, KEYS, 1 - part) > 1e-6


def test_other_salt_draws_other_keys() -> None:
    one, other = Share(0.5, "camera-1"), Share(0.5, "camera-2")
    both = sum((f"{n}" in one) and (f"{n}" in other) for n in range(KEYS))
    assert binomial_tail(both, KEYS, 0.25) > 1e-6
    assert binomial_tail(KEYS - both, KEYS, 0.75) > 1e-6


def test_arm_of_a_key_is_that_of_every_release() -> None:
    taken = [n for n in range(16) if f"order-{n}" in Share(0.25, "camera-1")]
    assert taken == [3, 4, 7, 12, 13]


@pytest.mark.parametrize("part", [-0.1, 1.1, float("nan")])
def test_impossible_share_is_refused(part: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Share(part, "camera-1")
