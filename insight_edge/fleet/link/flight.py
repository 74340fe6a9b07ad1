# SPDX-License-Identifier: Apache-2.0
"""Messages that were handed to the link and that the broker has not confirmed.

Bounded by number and bytes, shared between those who hand over and the link's
thread. What was under way when the connection ended is forgotten: it is still in
the outbox, or the next one says more.
"""

import threading
from typing import Final, NamedTuple

from insight_edge.documents.topics import Kind

MAX_BYTES: Final = 4 * 1024 * 1024


class Outgoing(NamedTuple):
    """A message on its way to the broker."""

    kind: Kind
    payload: bytes
    digest: str


class Flight:
    """What is under way; takes nothing until it is opened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._most = 0
        self._length_bytes = 0
        self._under_way: dict[str, Outgoing] = {}
        self._fresh: list[Outgoing] = []

    @property
    def room(self) -> int:
        """How many more it takes, as long as they are short."""
        with self._lock:
            return max(self._most - len(self._under_way), 0)

    @property
    def digests(self) -> frozenset[str]:
        """What is under way."""
        with self._lock:
            return frozenset(self._under_way)

    def open(self, most: int) -> None:
        """Take so many messages at once from now on."""
        with self._lock:
            self._most = most

    def shut(self) -> None:
        """Forget everything, and take nothing more."""
        with self._lock:
            self._most = self._length_bytes = 0
            self._under_way.clear()
            self._fresh.clear()

    def offer(self, message: Outgoing) -> bool:
        """Return whether a message is under way now; one that was already is not taken twice."""
        with self._lock:
            if message.digest in self._under_way:
                return True
            length_bytes = self._length_bytes + len(message.payload)
            if len(self._under_way) >= self._most or (self._under_way and length_bytes > MAX_BYTES):
                return False
            self._under_way[message.digest] = message
            self._length_bytes = length_bytes
            self._fresh.append(message)
            return True

    def take(self) -> list[Outgoing]:
        """Return what was offered since the last call."""
        with self._lock:
            fresh, self._fresh = self._fresh, []
            return fresh

    def done(self, digest: str) -> None:
        """Forget one that the broker has answered for."""
        with self._lock:
            message = self._under_way.pop(digest, None)
            self._length_bytes -= 0 if message is None else len(message.payload)
