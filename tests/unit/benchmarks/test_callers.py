# SPDX-License-Identifier: Apache-2.0
"""Several callers at once: all of them call, side by side, and in blocks."""

import threading
from collections import Counter

from benchmarks.callers import Callers


def test_block_times_every_call_of_every_caller() -> None:
    seen: Counter[str] = Counter()
    with Callers(lambda query: seen.update([query]), ["a", "b"], 3) as callers:
        assert len(callers.block(4)) == 12
    assert seen == {"a": 6, "b": 6}


def test_callers_are_inside_at_once() -> None:
    meeting = threading.Barrier(3, timeout=30)
    with Callers(lambda _: meeting.wait(), [None], 3) as callers:
        assert len(callers.block(2)) == 6


def test_what_comes_after_a_block_is_called_once_for_all_callers() -> None:
    blocks: list[int] = []
    with Callers(lambda _: None, [None], 2, lambda: blocks.append(1)) as callers:
        callers.block(5)
        callers.block(5)
    assert len(blocks) == 2
