# SPDX-License-Identifier: Apache-2.0
"""Which calls belong to a swap, and which to the steady state before it."""

import numpy as np

from benchmarks.windows import Window, split

WINDOWS = [Window(100, 200), Window(300, 400)]


def durations(calls: list[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    started, finished = np.array(calls, np.int64).T
    during, before = split(started, finished, WINDOWS)
    return [block.tolist() for block in during], [block.tolist() for block in before]


def test_call_inside_a_window_is_during_it() -> None:
    assert durations([(110, 115)]) == ([[5], []], [[], []])


def test_call_that_overlaps_an_end_of_a_window_is_during_it() -> None:
    assert durations([(90, 101), (199, 212)]) == ([[11, 13], []], [[], []])


def test_call_that_spans_a_window_is_during_it() -> None:
    assert durations([(90, 210)]) == ([[120], []], [[], []])


def test_call_between_windows_is_before_the_second() -> None:
    assert durations([(10, 20), (210, 230)]) == ([[], []], [[10], [20]])


def test_call_after_the_last_window_belongs_to_none() -> None:
    assert durations([(401, 410)]) == ([[], []], [[], []])


def test_calls_of_several_callers_may_come_in_any_order() -> None:
    during, before = durations([(310, 311), (210, 212), (110, 113), (10, 14)])
    assert during == [[3], [1]]
    assert before == [[4], [2]]
