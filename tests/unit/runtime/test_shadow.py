# SPDX-License-Identifier: Apache-2.0
import os
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.runtime.shadow import NICENESS, PLACE_BYTES, PLACES, Call, Shadow, rest_s

ROW = {"x": np.ones((1, 4), np.float32)}


@given(spent_s=st.floats(1e-6, 10), cpu_share=st.floats(0.001, 1))
def test_work_is_its_share_of_work_and_rest(spent_s: float, cpu_share: float) -> None:
    rest = rest_s(spent_s, cpu_share)
    assert rest >= 0
    assert spent_s / (spent_s + rest) == pytest.approx(cpu_share)


def test_ring_takes_as_many_as_it_has_places_and_keeps_copies() -> None:
    seen: list[Call] = []
    began, goes_on = threading.Event(), threading.Event()

    def repeat(call: Call) -> None:
        seen.append(call)
        began.set()
        goes_on.wait()

    shadow = Shadow(repeat, 1.0)
    mine = {"x": np.ones((1, 4), np.float32)}
    assert shadow.offer(mine, mine, "first")
    began.wait()
    mine["x"][:] = 7  # the caller uses its buffer again
    taken = [shadow.offer(ROW, ROW, "more") for _ in range(PLACES)]
    assert taken == [True] * (PLACES - 1) + [False]
    goes_on.set()
    waiting = shadow.end()
    assert len(seen) + waiting == PLACES
    np.testing.assert_array_equal(seen[0].inputs["x"], 1)
    np.testing.assert_array_equal(seen[0].outputs["x"], 1)
    assert not shadow.offer(ROW, ROW, "late")


def test_call_that_is_too_large_is_not_copied() -> None:
    shadow = Shadow(lambda _: None, 1.0)
    large = {"x": np.zeros(PLACE_BYTES // 4 + 1, np.float32)}
    assert not shadow.offer(large, ROW, "bundle")
    assert shadow.end() == 0


def test_one_that_hangs_is_left_behind_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("insight_edge.runtime.shadow.END_S", 0.01)
    hangs, began = threading.Event(), threading.Event()

    def hang(_: Call) -> None:
        began.set()
        hangs.wait()

    shadow = Shadow(hang, 1.0)
    shadow.offer(ROW, ROW, "bundle")
    began.wait()
    shadow.offer(ROW, ROW, "bundle")
    assert shadow.end() == 2
    hangs.set()


def test_thread_has_a_low_priority_of_its_own() -> None:
    found: list[int] = []
    done = threading.Event()

    def repeat(_: Call) -> None:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        done.set()

    before = os.getpriority(os.PRIO_PROCESS, 0)
    shadow = Shadow(repeat, 1.0)
    shadow.offer(ROW, ROW, "bundle")
    done.wait()
    shadow.end()
    assert found == [min(19, NICENESS)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_rest_follows_work() -> None:
    spans: list[tuple[float, float]] = []
    enough = threading.Event()

    def repeat(_: Call) -> None:
        began_s = time.monotonic()
        while time.monotonic() < began_s + 0.002:
            pass
        spans.append((began_s, time.monotonic()))
        if len(spans) == 3:
            enough.set()

    shadow = Shadow(repeat, 0.2)
    while not enough.is_set():
        shadow.offer(ROW, ROW, "bundle")
    shadow.end()
    for (began_s, ended_s), (next_s, _) in pairwise(spans):
        assert next_s - began_s >= (ended_s - began_s) / 0.2 * 0.999
