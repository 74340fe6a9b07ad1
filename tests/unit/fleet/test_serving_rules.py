# SPDX-License-Identifier: Apache-2.0
"""When a server is started, ended or left alone, whatever is seen in whatever order."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from insight_edge.fleet.serving.rules import (
    ENDING_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    SILENT_S,
    STABLE_S,
    Seen,
    Standing,
    Step,
    step,
)

UP = Seen(wanted=True, running=True, attached=True)
DOWN = Seen(wanted=True, running=False)
sights = st.builds(
    Seen,
    wanted=st.booleans(),
    running=st.booleans(),
    outdated=st.booleans(),
    attached=st.booleans(),
    taken=st.booleans(),
)


@given(st.lists(st.tuples(sights, st.floats(0, 300)), max_size=30))
def test_one_is_started_only_where_it_is_wanted_and_nobody_serves(
    found: list[tuple[Seen, float]],
) -> None:
    standing, now_s = Standing(), 0.0
    for seen, later_s in found:
        now_s += later_s
        standing, what = step(standing, seen, now_s)
        if what is Step.START:
            assert seen.wanted
            assert not seen.running
            assert not seen.taken
        if what in {Step.END, Step.KILL}:
            assert seen.running
        assert standing.due_s <= now_s + LONGEST_PAUSE_S


@given(st.integers(1, 12))
def test_pauses_grow_while_it_ends_at_once(times: int) -> None:
    standing, now_s, waits = Standing(), 0.0, []
    for _ in range(times):
        standing, what = step(standing, DOWN, now_s)
        assert what is Step.START
        standing, what = step(standing, DOWN, now_s)
        assert what is Step.NOTHING
        waits.append(standing.due_s - now_s)
        now_s = standing.due_s
    assert waits == [min(FIRST_PAUSE_S * 2**n, LONGEST_PAUSE_S) for n in range(times)]


def test_one_that_ran_for_long_is_started_again_soon() -> None:
    standing = Standing(began_s=0, heard_s=0, failures=9)
    standing, _ = step(standing, DOWN, STABLE_S)
    assert standing.due_s == STABLE_S + FIRST_PAUSE_S


def test_one_of_another_plan_is_ended_and_the_new_one_started_at_once() -> None:
    standing, what = step(Standing(), replace(UP, outdated=True), 5)
    assert what is Step.END
    standing, what = step(standing, replace(UP, outdated=True), 6)
    assert what is Step.NOTHING
    standing, what = step(standing, DOWN, 7)
    assert what is Step.START


def test_one_that_does_not_end_is_killed() -> None:
    unwanted = replace(UP, wanted=False)
    standing, what = step(Standing(), unwanted, 0)
    assert what is Step.END
    assert step(standing, unwanted, ENDING_S)[1] is Step.NOTHING
    assert step(standing, unwanted, ENDING_S + 1)[1] is Step.KILL


def test_one_that_hangs_is_killed_and_one_that_is_heard_is_not() -> None:
    silent = replace(UP, attached=False)
    standing, what = step(Standing(), silent, 0)
    assert what is Step.NOTHING
    assert step(standing, silent, SILENT_S)[1] is Step.NOTHING
    assert step(standing, silent, SILENT_S + 1)[1] is Step.KILL
    standing, _ = step(standing, UP, SILENT_S)
    assert step(standing, silent, SILENT_S + 1)[1] is Step.NOTHING
