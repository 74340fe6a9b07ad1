# SPDX-License-Identifier: Apache-2.0
"""Calls of the engine in a few threads, and a bounded line before them.

Engines let the interpreter go while they run, so the event loop goes on. What a call returns
comes back on the loop. A line that is full refuses at once: a client that is told to come back
in a second is better off than one that waits in a line that only grows.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, NamedTuple, TypeVar

from insight_edge.serve.refusal import RefusedError

T = TypeVar("T")
Work = Callable[[], T]
Deliver = Callable[[T], None]


class _Call(NamedTuple, Generic[T]):
    work: Work[T]
    deliver: Deliver[T]


class Calls(Generic[T]):
    """Threads that work off a line; used from the thread of the event loop.

    Of several that are idle the one that was busy last is taken: its caches are warm.

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
        self._guard = threading.Lock()
        """Of the line, the idle threads, and whether it is closed."""
        self._line: deque[_Call[T]] = deque()
        self._closed = False
        self._idle = [_Thread(self._finish) for _ in range(threads)]

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
        call = _Call(work, deliver)
        with self._guard:
            if not self._idle:
                self._line.append(call)
                return None
            thread = self._idle.pop()
        thread.give(call)
        return None

    def close(self) -> None:
        """Let the threads end, each with the call that it has."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for thread in idle:
            thread.give(None)

    def _finish(self, thread: "_Thread[T]", call: _Call[T], result: T) -> None:
        """Give a thread its next call, and deliver the result of the one that it has made."""
        with self._guard:
            following = self._line.popleft() if self._line and not self._closed else None
            idle = following is None and not self._closed
            if idle:
                self._idle.append(thread)
        if not idle:
            thread.give(following)
        with suppress(RuntimeError):  # the loop was closed: nobody is there to be told
            self._loop.call_soon_threadsafe(self._deliver, call.deliver, result)

    def _deliver(self, deliver: Deliver[T], result: T) -> None:
        self._taken -= 1
        deliver(result)


class _Thread(Generic[T]):
    """Makes one call after the other, each when it is given it; ends when it is given None."""

    def __init__(self, finish: Callable[["_Thread[T]", _Call[T], T], None]) -> None:
        self._finish = finish
        self._call: _Call[T] | None = None
        self._given = threading.Lock()
        self._given.acquire()
        threading.Thread(target=self._work, name="insight-edge call", daemon=True).start()

    def give(self, call: _Call[T] | None) -> None:
        """Let it make a call, once it has finished the one before."""
        self._call = call
        self._given.release()

    def _work(self) -> None:
        while True:
            self._given.acquire()
            call = self._call
            if call is None:
                return
            self._finish(self, call, call.work())
