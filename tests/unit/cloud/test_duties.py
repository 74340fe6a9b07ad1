# SPDX-License-Identifier: Apache-2.0
"""Duties are done in turn, in lanes that do not wait for one another."""

import threading

from insight_cloud.worker.duty import Duty, Lane
from insight_edge.errors import StorageError

DEADLINE_S = 20


def test_duty_is_done_when_it_is_due_and_not_before() -> None:
    done: list[int] = []
    duty = Duty("count", 10.0, lambda: done.append(1))
    for at_s in (5.0, 6.0, 14.9, 15.0):
        duty.turn(at_s)
    assert len(done) == 2


def test_duty_that_fails_is_tried_at_its_next_turn() -> None:
    turns: list[int] = []

    def fail() -> None:
        turns.append(1)
        raise StorageError("the disk is full")

    duty = Duty("fail", 1.0, fail)
    duty.turn(0.0)
    duty.turn(1.0)
    assert len(turns) == 2


def test_slow_lane_keeps_no_other_waiting_and_all_end_their_way() -> None:
    stop, gate, swift, ended = (threading.Event() for _ in range(4))
    slow = Lane("slow", [Duty("wait", 0.0, lambda: gate.wait(DEADLINE_S))], stop)
    last = Duty("last", 3600.0, lambda: ended.set() if stop.is_set() else None, at_end=True)
    quick = Lane("quick", [Duty("go", 0.0, swift.set), last], stop)
    for lane in (slow, quick):
        lane.start()
    assert swift.wait(DEADLINE_S)
    stop.set()
    assert ended.wait(DEADLINE_S)
    gate.set()
    for lane in (slow, quick):
        lane.join()
        assert not lane.failed


def test_failure_that_nobody_foresaw_ends_all_lanes() -> None:
    stop = threading.Event()
    lane = Lane("broken", [Duty("divide", 0.0, lambda: 1 // 0)], stop)
    lane.start()
    assert stop.wait(DEADLINE_S)
    lane.join()
    assert lane.failed
