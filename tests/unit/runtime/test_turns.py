# SPDX-License-Identifier: Apache-2.0
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.runtime.turns import Turns, Waiting, first
from tests.fakes.broker import until

PATIENCE_S = 5.0


def line(*callers: tuple[int, float]) -> list[Waiting]:
    ordered = sorted(callers, key=lambda one: one[1])
    return [Waiting(priority, since, threading.Lock()) for priority, since in ordered]


@given(st.lists(st.tuples(st.integers(-3, 3), st.floats(0, 20)), min_size=1), st.floats(20, 40))
def test_the_overdue_go_first_then_the_highest_then_the_line(
    callers: list[tuple[int, float]], now_s: float
) -> None:
    waiting = line(*callers)
    chosen = waiting[at := first(waiting, now_s, PATIENCE_S)]
    if now_s - waiting[0].since_s >= PATIENCE_S:
        assert at == 0
    else:
        assert chosen.priority == max(one.priority for one in waiting)
        assert all(one.priority < chosen.priority for one in waiting[:at])


@given(st.integers(1, 20), st.integers(1, 8))
def test_a_low_one_is_served_after_its_patience_however_many_high_ones_come(
    patience: int, at_a_time: int
) -> None:
    """Each second one caller is served, and more of a higher priority come."""
    waiting = line((0, 0.0))
    low = waiting[0]
    for second in range(patience + 1):
        served = waiting.pop(first(waiting, float(second), patience))
        if served is low:
            break
        waiting += line(*[(1, float(second))] * at_a_time)
        assert second < patience
    waiting += line((1, 0.0))
    assert low not in waiting


def test_higher_priority_goes_first_and_never_more_than_may_at_once() -> None:
    turns, order, inside = Turns(1, 60.0), [], []

    def call(priority: int) -> None:
        with turns.turn(priority):
            inside.append(priority)
            assert len(inside) == 1
            order.append(priority)
            inside.pop()

    with ThreadPoolExecutor(6) as callers:
        with turns.turn(9):
            calls = []
            for count, priority in enumerate((0, 2, 1, 2, 0, 1), 1):
                calls.append(callers.submit(call, priority))
                until(lambda count=count: turns.waiting == count)  # type: ignore[misc]
        for one in calls:
            one.result()
    assert order == [2, 2, 1, 1, 0, 0]


def test_a_place_comes_free_where_a_call_raises() -> None:
    turns = Turns(1, 60.0)

    def fail() -> None:
        with turns.turn(0):
            raise ArithmeticError

    for _ in range(2):
        with pytest.raises(ArithmeticError):
            fail()
