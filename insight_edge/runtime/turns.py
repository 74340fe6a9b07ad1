# SPDX-License-Identifier: Apache-2.0
"""Whose call is made next, where callers of several models want the same processors.

A call that has begun is not interrupted: an engine cannot be. The next place goes to the highest
priority, but for a caller who has waited too long, who goes before everybody: so the lower waits,
and does not starve.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple


class Waiting(NamedTuple):
    """A caller in line.

    Attributes:
        since_s: by the monotonic clock.
        told: held until it is its turn.
    """

    priority: int
    since_s: float
    told: "threading.Lock"


def first(waiting: Sequence[Waiting], now_s: float, patience_s: float) -> int:
    """Return whose turn it is, as a position in the line, which goes by `since_s`.

    Whoever has waited for `patience_s` goes first, the oldest of them; then priority decides, and
    between equals the line.
    """
    if now_s - waiting[0].since_s >= patience_s:
        return 0
    return max(range(len(waiting)), key=lambda at: (waiting[at].priority, -at))


class Turns:
    """So many calls at once, the others in line.

    Args:
        at_once: calls.
        patience_s: after which a caller of a low priority goes before everybody.
    """

    def __init__(self, at_once: int, patience_s: float) -> None:
        self._free, self._patience_s = at_once, patience_s
        self._line: list[Waiting] = []
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, priority: int) -> Iterator[None]:
        """Wait for a turn, and have it until the block ends."""
        self._take(priority)
        try:
            yield
        finally:
            self._give()

    @property
    def waiting(self) -> int:
        """How many callers are in line."""
        return len(self._line)

    def _take(self, priority: int) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            place = Waiting(priority, time.monotonic(), threading.Lock())
            place.told.acquire()
            self._line.append(place)
        try:
            place.told.acquire()
        except BaseException:  # interrupted: its place, or its turn, is somebody else's
            self._leave(place)
            raise

    def _leave(self, place: Waiting) -> None:
        with self._lock:
            waits = place in self._line
            if waits:
                self._line.remove(place)
        if not waits:
            self._give()

    def _give(self) -> None:
        with self._lock:
            if not self._line:
                self._free += 1
                return
            place = self._line.pop(first(self._line, time.monotonic(), self._patience_s))
        place.told.release()
