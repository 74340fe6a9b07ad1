# SPDX-License-Identifier: Apache-2.0
"""Repeat calls for a challenger, behind the callers' backs and within a share of one processor.

A caller leaves a copy of its call in a ring of a few places, or none where they are taken: it
never waits. One thread of low priority takes a call, has it repeated, and then rests until what
that took is no more than its share of the time since it began. The clock is charged rather than
the thread's processor time: an engine may compute in threads of its own, and whatever else makes
it take longer only makes it rest longer. Who is asked, and what is made of the answer, is not
known here.
"""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

PLACES = 4
"""Few: a call is repeated when its turn comes, and what waits longer is only older."""

PLACE_BYTES = 8 * 1024 * 1024
"""A larger call is not copied: that would take its caller longer than a millisecond."""

NICENESS = 10
"""A tenth of the weight of a thread of the application. Not less: what waits for the interpreter
while this thread holds it waits until it has run."""

END_S = 2.0
"""So long `end` waits for a call that is being repeated; one that hangs is left behind."""

Tensors = Mapping[str, NDArray[Any]]


class Call(NamedTuple):
    """One call to repeat: copies that nobody else changes.

    Attributes:
        bundle: digest of the one that answered.
    """

    inputs: dict[str, NDArray[Any]]
    outputs: dict[str, NDArray[Any]]
    bundle: str


class Shadow:
    """Repeats calls in a thread of its own until `end`.

    Args:
        repeat: called with one call at a time; it raises nothing.
        cpu_share: of one processor's time, above 0 and at most 1.
    """

    def __init__(self, repeat: Callable[[Call], None], cpu_share: float) -> None:
        self._repeat, self._cpu_share = repeat, cpu_share
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(PLACES):
            self._places.put(None)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="insight-edge shadow", daemon=True)
        self._thread.start()

    def offer(self, inputs: Tensors, outputs: Tensors, bundle: str) -> bool:
        """Copy a call into the ring; return whether there was room for it."""
        if not self._places.qsize() or self._ended.is_set():
            return False
        if sum(a.nbytes for side in (inputs, outputs) for a in side.values()) > PLACE_BYTES:
            return False
        try:
            self._places.get_nowait()
        except queue.Empty:  # another caller was faster
            return False
        self._calls.put(Call(_copied(inputs), _copied(outputs), bundle))
        return True

    def end(self) -> int:
        """Stop repeating; return how many calls are given up, one that hangs among them."""
        self._ended.set()
        self._calls.put(None)
        self._thread.join(END_S)
        waiting = int(self._thread.is_alive())
        with contextlib.suppress(queue.Empty):
            while True:
                waiting += self._calls.get_nowait() is not None
        return waiting

    def _run(self) -> None:
        _yield_priority()
        while (call := self._calls.get()) is not None:
            if self._ended.is_set():
                self._calls.put(call)
                return
            started_ns = time.monotonic_ns()
            self._repeat(call)
            del call  # its arrays, while this thread rests
            self._places.put(None)
            spent_s = (time.monotonic_ns() - started_ns) / 1e9
            if self._ended.wait(rest_s(spent_s, self._cpu_share)):
                return


def rest_s(spent_s: float, cpu_share: float) -> float:
    """Return how long to rest after so much work for it to be no more than its share."""
    return spent_s * (1 - cpu_share) / cpu_share


def _copied(tensors: Tensors) -> dict[str, NDArray[Any]]:
    return {name: array.copy() for name, array in tensors.items()}


def _yield_priority() -> None:
    """Lower this thread's priority alone; on Linux each thread has its own."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
