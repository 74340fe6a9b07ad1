# SPDX-License-Identifier: Apache-2.0
import time
from collections.abc import Callable
from itertools import count, cycle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.bench.scenarios.serving import NEVER, serve

MS = 1_000_000

Serve = Callable[..., list[tuple[int, int]]]


def served(
    patch: pytest.MonkeyPatch, due_ms: list[int], takes_ms: list[int], waiting: int = 100
) -> list[tuple[int, int]]:
    """Return when queries were begun and answered, in ms, by a clock that only calls move."""
    now_ns = 10**12

    def sleep(seconds: float) -> None:
        nonlocal now_ns
        now_ns += max(1, round(seconds * 1e9))

    def spin() -> int:
        """Move on a little whenever it is looked at, as a clock does."""
        nonlocal now_ns
        now_ns += 10
        return now_ns

    calls = count()

    def call(_: object) -> None:
        nonlocal now_ns
        now_ns += takes_ms[next(calls)] * MS

    patch.setattr(time, "perf_counter_ns", spin)
    patch.setattr(time, "sleep", sleep)
    found: NDArray[np.int64] = serve(call, cycle([None]), [one * MS for one in due_ms], waiting)
    return [
        (round(int(a) / MS), round(int(b) / MS)) if b >= 0 else (NEVER, NEVER) for a, b in found
    ]


def test_queries_are_asked_when_they_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    assert served(monkeypatch, [5, 10, 20], [2, 2, 2]) == [(5, 7), (10, 12), (20, 22)]


def test_slow_answer_is_paid_for_by_all_that_wait_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asked only once the one before was answered, the last two would seem to take 1 ms."""
    found = served(monkeypatch, [0, 10, 20, 30], [1, 50, 1, 1])
    assert found == [(0, 1), (10, 60), (60, 61), (61, 62)]


def test_query_that_finds_the_queue_full_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    found = served(monkeypatch, [0, 1, 2, 3, 100], [10, 10, 10, 10], waiting=1)
    assert found == [(0, 10), (10, 20), (NEVER, NEVER), (NEVER, NEVER), (100, 110)]


def test_nothing_due_is_nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert served(monkeypatch, [], []) == []


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=25),
    st.lists(st.integers(1, 12), min_size=25, max_size=25),
    st.integers(1, 4),
)
def test_times_are_those_of_a_queue_worked_out_anew(
    due: list[int], takes: list[int], waiting: int
) -> None:
    due = sorted(due)
    with pytest.MonkeyPatch.context() as patch:
        found = served(patch, due, takes, waiting)
    free_at, answered, begun = 0, 0, list[int]()
    for at, (start, end) in zip(due, found, strict=True):
        ahead = sum(1 for start_of_other in begun if start_of_other >= at)
        if start == NEVER:
            assert ahead >= waiting
            continue
        assert sum(1 for start_of_other in begun if start_of_other > at) < waiting
        assert start == max(at, free_at)
        assert end == start + takes[answered]
        free_at, answered = end, answered + 1
        begun.append(start)


def test_clock_that_is_set_back_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the monotonic clock is read: the time of day may jump as it likes."""

    def jumps() -> float:
        raise AssertionError("the time of day was read")

    for name in ("time", "time_ns", "localtime", "gmtime"):
        monkeypatch.setattr(time, name, jumps)
    times = serve(lambda _: None, cycle([None]), [0, 1000, 2000], 5)
    assert (times >= 0).all()
