# SPDX-License-Identifier: Apache-2.0
"""An interrupt waits for the end of a short block, and is lost nowhere."""

import signal
import threading

import pytest

from insight_edge.bundle.lifeline import interrupts_held


def test_interrupt_comes_at_the_end_of_the_block() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 (what comes after the signal is the point)
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            reached.append("end")
        reached.append("beyond")
    assert reached == ["end"]


def test_interrupt_comes_although_the_block_failed() -> None:
    def fail() -> None:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            raise ValueError

    with pytest.raises(KeyboardInterrupt) as caught:
        fail()
    assert isinstance(caught.value.__context__, ValueError)


def test_nothing_is_raised_where_nothing_came_and_the_handler_is_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupts_held():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_hold_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def look() -> None:
        with interrupts_held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
