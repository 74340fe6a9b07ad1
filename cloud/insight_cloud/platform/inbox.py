# SPDX-License-Identifier: Apache-2.0
"""Messages between the threads that receive them and the caller who commits them.

Bounded: a broker that sends more is not read from until the caller has taken some.
It knows neither MQTT nor what messages say.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from insight_edge.documents.topics import Topic

MAX_BYTES: Final = 64 * 1024 * 1024


class Arrived(NamedTuple):
    """A message as it came.

    Attributes:
        connection: number of the connection it came by; its receipt is good there alone.
        receipt: what the broker wants back, 0 where it wants nothing.
        topic: None for what is none of ours, of which nothing but the receipt is kept.
    """

    connection: int
    receipt: int
    topic: Topic | None
    payload: bytes


class Batch:
    """Messages to be committed together.

    Attributes:
        messages: topic and payload, in the order they came.
        acknowledged: whether the broker was told so.
    """

    def __init__(
        self, arrived: Sequence[Arrived], settle: Callable[[Sequence[Arrived]], None]
    ) -> None:
        self.messages = tuple((one.topic, one.payload) for one in arrived if one.topic is not None)
        self.acknowledged = False
        self._arrived = arrived
        self._settle = settle

    def acknowledge(self) -> None:
        """Tell the broker that these are committed, so that it sends more; once is enough."""
        if not self.acknowledged:
            self.acknowledged = True
            self._settle(self._arrived)


class Inbox:
    """What has arrived by several lines and was not taken yet, and the receipts to give back.

    Args:
        most: messages.
        max_bytes: of payload; what was read from the line together may go beyond both.
    """

    def __init__(self, most: int, max_bytes: int = MAX_BYTES) -> None:
        self._most = most
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._queue: deque[Arrived] = deque()
        self._length_bytes = 0
        self._connections: dict[int, int] = {}
        self._opened = 0
        self._wanted = 1
        self._came = False
        self._receipts: dict[int, list[int]] = {}
        self._closed = False

    @property
    def has_room(self) -> bool:
        """Whether more should be read."""
        with self._changed:
            return len(self._queue) < self._most and self._length_bytes < self._max_bytes

    def renew(self, line: int = 0) -> None:
        """Begin another connection of a line: receipts of its earlier ones are not given back."""
        with self._changed:
            self._receipts.pop(self._connections.get(line, 0), None)
            self._opened += 1
            self._connections[line] = self._opened
            self._receipts[self._opened] = []

    def put(self, receipt: int, topic: Topic | None, payload: bytes, line: int = 0) -> None:
        """Take what came by the connection that a line has now."""
        with self._changed:
            self._queue.append(Arrived(self._connections.get(line, 0), receipt, topic, payload))
            self._length_bytes += len(payload)
            self._came = True
            if len(self._queue) >= self._wanted:
                self._changed.notify_all()

    def take(self, most: int, wait_s: float) -> Sequence[Arrived]:
        """Return messages, at least one: so many, or those that came within the time after it.

        It ends sooner where nothing comes in a tenth of that: a broker that has sent all it
        may before it gets receipts would be waited for in vain. Nothing is returned after
        `close`.
        """
        with self._changed:
            self._await(1)
            deadline_s = time.monotonic() + wait_s
            while not self._closed and len(self._queue) < most:
                left_s = min(deadline_s - time.monotonic(), wait_s / 10.0)
                self._came = False
                if left_s > 0.0:
                    self._await(most, left_s)
                if not self._came:
                    break
            if self._closed:
                return ()
            taken = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
            self._length_bytes -= sum(len(one.payload) for one in taken)
            return taken

    def _await(self, messages: int, timeout_s: float | None = None) -> None:
        """Wait for so many messages, and be woken for no fewer: a thread costs as much as one."""
        self._wanted = messages
        self._changed.wait_for(lambda: len(self._queue) >= messages or self._closed, timeout_s)

    def give_back(self, messages: Sequence[Arrived]) -> None:
        """Let the receipts of these be given back, in the order of the messages."""
        with self._changed:
            for one in messages:
                if one.receipt and one.connection in self._receipts:
                    self._receipts[one.connection].append(one.receipt)

    def receipts(self, line: int = 0) -> list[int]:
        """Return the receipts to give back now by a line, once."""
        with self._changed:
            connection = self._connections.get(line, 0)
            receipts = self._receipts.get(connection, [])
            if receipts:
                self._receipts[connection] = []
            return receipts

    def close(self) -> None:
        """Let whoever waits go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
