# SPDX-License-Identifier: Apache-2.0
"""Time left is what was seen before or a limit, and never made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.compile.progress import (
    Left,
    Rounds,
    Step,
    build_left,
    builds_left,
    rounds_left,
)

SECONDS = st.floats(0, 1000)


def about(seconds: float) -> Left:
    return Left(seconds=seconds, bound=False)


def at_most(seconds: float) -> Left:
    return Left(seconds=seconds, bound=True)


@pytest.mark.parametrize(
    ("usual_s", "most_s", "elapsed_s", "expected"),
    [
        (10.0, 900.0, 4.0, about(6.0)),
        (10.0, 900.0, 14.0, at_most(886.0)),
        (10.0, None, 14.0, None),
        (None, 900.0, 4.0, at_most(896.0)),
        (None, 900.0, 901.0, at_most(0.0)),
        (None, None, 4.0, None),
    ],
)
def test_build_left_is_the_usual_time_until_that_is_over(
    usual_s: float | None, most_s: float | None, elapsed_s: float, expected: Left | None
) -> None:
    step = Step(token="a:fp32", state="building", usual_s=usual_s, most_s=most_s)
    assert build_left(step, elapsed_s) == expected


@pytest.mark.parametrize(
    ("running", "waiting", "at_once", "expected"),
    [
        ([about(3.0)], [about(4.0), about(5.0)], 1, about(12.0)),
        ([about(3.0), about(1.0)], [about(4.0)], 2, about(5.0)),
        ([], [about(4.0), about(5.0)], 2, about(5.0)),
        ([about(3.0)], [at_most(4.0)], 1, at_most(7.0)),
        ([about(3.0)], [None], 1, None),
        ([None], [], 1, None),
    ],
)
def test_builds_left_fill_the_places_as_they_become_free(
    running: list[Left | None], waiting: list[Left | None], at_once: int, expected: Left | None
) -> None:
    assert builds_left(running, waiting, at_once) == expected


@given(st.lists(SECONDS, min_size=1, max_size=8), st.lists(SECONDS, max_size=8))
def test_builds_left_is_no_less_than_the_longest_and_no_more_than_all(
    running: list[float], waiting: list[float]
) -> None:
    found = builds_left([about(s) for s in running], [about(s) for s in waiting], len(running))
    assert found is not None
    assert max(running + waiting) <= found.seconds <= sum(running + waiting) + 1e-6


def test_rounds_left_follow_from_those_done() -> None:
    assert rounds_left(Rounds(done=0, of=15), 1.0) is None
    assert rounds_left(Rounds(done=5, of=15), 1.0) == about(2.0)
    assert rounds_left(Rounds(done=15, of=15), 1.0) == about(0.0)
