# SPDX-License-Identifier: Apache-2.0
import time
from itertools import count, cycle
from typing import Any

import numpy as np
import pytest

from insight_edge.bench.measure import (
    BLOCK_S,
    MAX_BLOCK,
    MIN_BLOCK,
    WARM_UP_CALLS,
    WARM_UP_CAP_S,
    block_iterations,
    time_block,
    warm_up,
)


class Clock:
    """A clock that stands still, except where a call takes its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 0
        monkeypatch.setattr(time, "perf_counter_ns", lambda: self.now_ns)
        monkeypatch.setattr(time, "monotonic", lambda: self.now_ns / 1e9)

    def take(self, duration_ns: int) -> None:
        self.now_ns += duration_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_block_holds_the_duration_of_every_call_and_nothing_else(clock: Clock) -> None:
    def queries() -> Any:
        for duration_ns in (5, 7, 11):
            clock.take(1000)  # what a query costs is not the call's
            yield duration_ns

    found = time_block(clock.take, queries(), 3)
    assert found.dtype == np.int64
    assert found.tolist() == [5, 7, 11]


def test_block_asks_one_query_after_the_other_from_where_it_was() -> None:
    asked: list[str] = []
    queries = cycle("abc")
    time_block(asked.append, queries, 2)
    time_block(asked.append, queries, 2)
    assert asked == ["a", "b", "c", "a"]


def test_warm_up_ends_when_three_groups_agree(clock: Clock) -> None:
    calls = count()

    def call(_: object) -> None:
        clock.take(90_000 if next(calls) < WARM_UP_CALLS else 1_000_000)

    assert warm_up(call, cycle([None])) == 1e-3
    assert next(calls) == 4 * WARM_UP_CALLS


def test_warm_up_of_what_never_settles_ends_at_the_cap(clock: Clock) -> None:
    calls = count()
    call_s = warm_up(lambda _: clock.take(10**6 * (1 + next(calls) // 10)), cycle([None]))
    assert WARM_UP_CAP_S <= clock.now_ns / 1e9 < WARM_UP_CAP_S + 2 * call_s


def test_warm_up_of_a_slow_call_ends_with_the_call_at_the_cap(clock: Clock) -> None:
    assert warm_up(lambda _: clock.take(10**9), cycle([None])) == 1
    assert clock.now_ns <= (WARM_UP_CAP_S + 1) * 1e9


@pytest.mark.parametrize(
    ("call_s", "expected"),
    [(0.0, MAX_BLOCK), (1e-6, MAX_BLOCK), (1e-3, round(BLOCK_S / 1e-3)), (1.0, MIN_BLOCK)],
)
def test_block_lasts_about_as_long_whatever_a_call_takes(call_s: float, expected: int) -> None:
    assert block_iterations(call_s) == expected


def test_block_of_slow_calls_is_as_long_as_it_has_to_be() -> None:
    assert block_iterations(1.0, 10) == 10
    assert block_iterations(1.0, 1) == MIN_BLOCK
    assert block_iterations(1e-6, 10) == MAX_BLOCK
