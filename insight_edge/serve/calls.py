# SPDX-License-Identifier: Apache-2.0
"""Calls of the engine in a few threads, and a bounded line before them.

Engines let the interpreter go while they run, so the event loop goes on. What a call returns
comes back on the loop. A line that is full refuses at once: a client that is told to come back
in a second is better off than one that waits in a line that only grows.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from insight_edge.serve.refusal import RefusedError

T = TypeVar("T")
Work = Callable[[], T]
Deliver = Callable[[T], None]


class Calls(Generic[T]):
    """Threads that work off a line; used from the thread of the event loop.

    Args:
        loop: on which results are delivered.
        threads: calls at once.
        waiting: that wait for a thread, at most.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, threads: int, waiting: int) -> None:
        self._loop = loop
        self._room = threads + waiting
        self._threads = threads
        self._taken = 0
        self._line: queue.SimpleQueue[tuple[Work[T], Deliver[T]] | None] = queue.SimpleQueue()
        for number in range(threads):
            name = f"insight-edge call {number}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    @property
    def running(self) -> int:
        """How many calls have a thread, or will the moment it looks."""
        return min(self._taken, self._threads)

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return max(0, self._taken - self._threads)

    def submit(self, work: Work[T], deliver: Deliver[T], *, short: bool) -> T | None:
        """Return what came of the work, or None where a thread does it and it is delivered later.

        Args:
            work: what to do; it raises nothing.
            deliver: is given what came of it, on the loop.
            short: do it here and now, if nothing else is under way.

        Raises:
            RefusedError: the line is full.
        """
        if short and not self._taken:
            return work()
        if self._taken >= self._room:
            raise RefusedError(
                503, f"busy: {self._taken} calls are under way", headers=(("Retry-After", "1"),)
            )
        self._taken += 1
        self._line.put((work, deliver))
        return None

    def close(self) -> None:
        """Let the threads end when the line is empty."""
        for _ in range(self._threads):
            self._line.put(None)

    def _work(self) -> None:
        while (one := self._line.get()) is not None:
            work, deliver = one
            result = work()
            with suppress(RuntimeError):  # the loop was closed: nobody is there to be told
                self._loop.call_soon_threadsafe(self._deliver, deliver, result)

    def _deliver(self, deliver: Deliver[T], result: T) -> None:
        self._taken -= 1
        deliver(result)
