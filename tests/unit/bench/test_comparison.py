# SPDX-License-Identifier: Apache-2.0
"""What launches say of each subject against the first, as a verdict and in words."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.bench.comparison import ALPHA, Terms, compare_launches
from insight_edge.bench.comparison_sentence import MANY_LAUNCHES
from insight_edge.documents.evidence import Comparison

Side = list[NDArray[np.float64]]

TERMS = Terms(rounds=5)
LEAST_LAUNCHES = 6


def sides_of(seed: int, *slowdowns: float, count: int = 11, luck: float = 0.02) -> list[Side]:
    """Return sides as processes of one bundle behave, each slowed down by so much.

    Each process is a few percent off for its life; each round is disturbed, and all sides of it
    alike.
    """
    generator = np.random.default_rng(seed)
    sides: list[Side] = [[] for _ in slowdowns]
    for _ in range(count):
        weather = 1 + 0.3 * generator.random(5)
        for side, factor in zip(sides, slowdowns, strict=True):
            own = factor * np.exp(luck * generator.standard_normal())
            side.append(0.1 * own * weather * (1 + 0.005 * generator.standard_normal(5)))
    return sides


def compared(sides: Sequence[Side], **changes: Any) -> tuple[Comparison, ...]:
    names = ["a", *(f"b{index}" for index in range(1, len(sides)))]
    return compare_launches(sides, names, Terms(**{"rounds": 5} | changes))


def test_like_things_are_called_different_no_more_often_than_stated() -> None:
    verdicts = Counter(compared(sides_of(seed, 1, 1))[0].verdict for seed in range(300))
    assert 0 < verdicts["faster"] + verdicts["slower"] <= 28, "more come once in 1000 times at 5 %"
    assert verdicts["no difference"] >= 270


def test_among_many_like_things_none_is_called_different_any_oftener() -> None:
    tables = [compared(sides_of(seed, *[1.0] * 5)) for seed in range(80)]
    assert all(one.compared == 4 for table in tables for one in table)
    called = sum(any(one.verdict in {"faster", "slower"} for one in table) for table in tables)
    assert called <= 11, "more of 80 come once in 1000 times at 5 %"


@pytest.mark.parametrize(("slowdown", "least"), [(1.03, 54), (1.05, 60), (0.95, 60)])
def test_three_percent_are_found_where_processes_differ_by_one(slowdown: float, least: int) -> None:
    found = [compared(sides_of(seed, 1, slowdown, luck=0.01))[0] for seed in range(60)]
    assert sum(one.verdict == ("slower" if slowdown > 1 else "faster") for one in found) >= least
    assert np.median([one.ratio.value for one in found]) == pytest.approx(slowdown, abs=0.005)


def test_sides_swapped_are_the_opposite() -> None:
    (there,) = compared(sides_of(0, 1, 1.2))
    (back,) = compared(sides_of(0, 1, 1.2)[::-1])
    assert (there.verdict, back.verdict) == ("slower", "faster")
    assert there.ratio.value * back.ratio.value == pytest.approx(1)
    assert (there.a_ms, there.b_ms, there.p_value) == (back.b_ms, back.a_ms, back.p_value)


@given(st.integers(0, 10**6), st.floats(0.8, 1.25), st.integers(6, 12), st.floats(0.001, 0.2))
def test_verdict_follows_from_the_interval(
    seed: int, slowdown: float, count: int, same: float
) -> None:
    (found,) = compared(sides_of(seed, 1, slowdown, count=count, luck=0.05), same=same)
    low, high = found.ratio.low, found.ratio.high
    assert (found.verdict == "slower") == (low > 1)
    assert (found.verdict == "faster") == (high < 1)
    assert (found.p_value <= ALPHA) == (low > 1 or high < 1)
    within = 1 / (1 + same) <= low <= 1 <= high <= 1 + same
    assert (found.verdict == "no difference") == within
    assert (found.launches_needed > count) == (found.verdict == "NOISY")


def test_side_against_itself_is_no_difference_whatever_the_noise() -> None:
    a, _ = sides_of(3, 1, 1, luck=0.5)
    (found,) = compared([a, a])
    assert (found.verdict, found.ratio.value, found.p_value) == ("no difference", 1.0, 1.0)


def test_few_launches_never_decide() -> None:
    (enough,) = compared(sides_of(0, 1, 2, count=LEAST_LAUNCHES))
    (few,) = compared(sides_of(0, 1, 2, count=LEAST_LAUNCHES - 1))
    assert (enough.verdict, few.verdict) == ("slower", "INVALID")
    assert few.reasons == ("5 of the 6 launches that are needed",)
    assert few.sentence == "Nothing can be said of b1: 5 of the 6 launches that are needed."


def test_what_must_not_be_used_is_not_judged() -> None:
    (found,) = compared(sides_of(0, 1, 2), invalid=("a rate was not held",), disturbed=("noise",))
    assert (found.verdict, found.reasons) == ("INVALID", ("a rate was not held", "noise"))


def test_like_tails_are_not_called_the_same_where_the_machine_may_be_all_that_was_measured() -> (
    None
):
    same, noisy = (compared(sides_of(0, 1, 1, luck=0.005), hides=hides)[0] for hides in (0, 1))
    assert (same.verdict, noisy.verdict, noisy.launches_needed) == ("no difference", "NOISY", 0)
    assert noisy.sentence.endswith("a difference may be hidden by what disturbed launches.")
    assert compared(sides_of(0, 1, 2), hides=True)[0].verdict == "slower"


def test_sentence_says_which_is_faster_by_how_much_and_how_sure_that_is() -> None:
    exact = [[np.array([1.0])] * 11, [np.array([1.05])] * 11, [np.array([0.5])] * 11]
    slower, faster = compared(exact, statistic="p99")
    assert slower.sentence == (
        "b1 is slower than a: its p99 is 5 % more, between 5 and 5 % more "
        "(at 95 % confidence for all 2 together, p = 0.00098)."
    )
    assert faster.sentence.startswith("b2 is faster than a: its p99 is 50 % less")
    much = [[np.array([1.0])] * 9, [np.array([ratio]) for ratio in (2.5, 4.0, 6.0) * 3]]
    assert "between 150 and 500 % more" in compared(much)[0].sentence


def test_sentence_says_what_is_excluded_or_what_would_tell() -> None:
    (same,) = compared(sides_of(0, 1, 1, luck=0.005))
    assert same.sentence.startswith("b1 does not differ from a by 5 % or more: its p50 is between ")
    (noisy,) = compared(sides_of(1, 1, 1, luck=0.1))
    assert noisy.verdict == "NOISY"
    assert noisy.sentence.startswith("Whether b1 or a is faster cannot be told: the p50 of b1 is ")
    needed = noisy.launches_needed
    assert f"About {needed} launches would tell, or fewer on a quieter machine." in noisy.sentence
    one = [np.array([1.0])] * 12
    other = [np.array([each]) for each in (0.4, 2.5) * 6]
    (wild,) = compared([one, other], same=0.01)
    assert f"even {MANY_LAUNCHES} launches would not tell" in wild.sentence


def test_as_many_launches_as_are_said_to_be_needed_mostly_tell() -> None:
    told = []
    for seed in range(40):
        (found,) = compared(sides_of(seed, 1, 1, luck=0.06))
        if found.verdict == "NOISY":
            again = sides_of(1000 + seed, 1, 1, count=found.launches_needed, luck=0.06)
            told.append(compared(again)[0].verdict != "NOISY")
    assert len(told) > 20
    assert np.mean(told) >= 0.8


@pytest.mark.parametrize(
    "spoil", [lambda b: b[1:], lambda b: [b[0][1:], *b[1:]], lambda b: [b[0] * 0, *b[1:]]]
)
def test_sides_that_do_not_pair_are_a_mistake_of_the_caller(spoil: Any) -> None:
    a, b = sides_of(0, 1, 1)
    with pytest.raises(ValueError, match=r"against|positive"):
        compared([a, spoil(b)])
    with pytest.raises(ValueError, match="nothing"):
        compared([a])
