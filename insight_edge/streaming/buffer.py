# SPDX-License-Identifier: Apache-2.0
"""The bounded line between a source and the model, and what is dropped where it is full.

`block`         the source waits: nothing is dropped here
`drop-oldest`   whoever waits longest makes room
`drop-newest`   who comes is not let in
`latest`        one place: who comes replaces who waits

Every item that was offered is taken, dropped or waits: `offered == taken + dropped + waiting`.
"""

import threading
from collections import deque
from typing import Generic, Literal, TypeVar, get_args

from insight_edge.errors import ConfigurationError

Policy = Literal["block", "drop-oldest", "drop-newest", "latest"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

T = TypeVar("T")


class Ended(Exception):  # noqa: N818 (no error: the end of what there is)
    """Nothing more comes."""


class Buffer(Generic[T]):
    """A line of at most so many.

    Args:
        capacity: items that wait at most; of `latest` it is one.
        policy: what happens where it is full.

    Attributes:
        offered, taken, dropped: items, since it was made.
        most: that have waited at once.

    Raises:
        ConfigurationError: a capacity below one, or no such policy.
    """

    def __init__(self, capacity: int, policy: Policy) -> None:
        if capacity < 1 or policy not in POLICIES:
            raise ConfigurationError(
                f"a line of {capacity} with policy '{policy}'",
                hint=f"1 or more, and one of {', '.join(POLICIES)}",
            )
        self.capacity = 1 if policy == "latest" else capacity
        self.policy = policy
        self.offered = self.taken = self.dropped = self.most = 0
        self._line: deque[T] = deque()
        self._ended = self._closed = False
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._line)

    def put(self, item: T) -> T | None:
        """Offer an item; return the one that is dropped for it, which may be itself.

        Under `block` it waits for room.

        Raises:
            Ended: nobody takes any more; the item was not offered.
        """
        with self._changed:
            if self.policy == "block":
                self._changed.wait_for(lambda: self._closed or len(self._line) < self.capacity)
            if self._closed:
                raise Ended
            self.offered += 1
            gone = self._room(item)
            if gone is not item:
                self._line.append(item)
                self.most = max(self.most, len(self._line))
                self._changed.notify_all()
            return gone

    def take(self, timeout_s: float) -> T | None:
        """Return who waits longest; None where nobody came in time.

        Raises:
            Ended: nobody waits, and nobody comes any more.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._line or self._ended or self._closed, timeout=timeout_s
            )
            if self._closed or (self._ended and not self._line):
                raise Ended
            if not self._line:
                return None
            self.taken += 1
            self._changed.notify_all()
            return self._line.popleft()

    def end(self) -> None:
        """Say that nobody comes any more; who waits is still taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Say that nobody takes any more; whoever waits for room is told."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _room(self, item: T) -> T | None:
        """Make room; return who is dropped."""
        if len(self._line) < self.capacity:
            return None
        self.dropped += 1
        return item if self.policy == "drop-newest" else self._line.popleft()
