# SPDX-License-Identifier: Apache-2.0
"""Says something to devices, and waits until the broker has it.

Whether a device has it is told by what it says itself. What could not be said in
time is an error, and saying it again is the caller's business.
"""

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from insight_cloud.platform.mqtt import (
    MAX_IN_FLIGHT,
    MAX_PAYLOAD_BYTES,
    Connection,
    Duties,
    Pace,
)
from insight_edge.documents.enrolment import Broker
from insight_edge.documents.topics import Topic
from insight_edge.errors import LimitExceededError, LinkError

CONFIRM_S: Final = 10.0


class Outgoing(NamedTuple):
    """A message for a device."""

    topic: Topic
    payload: bytes
    retain: bool = False


class Publisher:
    """Says something to devices; every method may be used from any thread.

    Args:
        broker: where to connect, and as whom.
        name: of this connection, unlike any other's at this broker.
        pace: how patient it is.

    Raises:
        ConfigurationError: the broker is on another machine and no CA says who it is.
    """

    def __init__(self, broker: Broker, *, name: str, pace: Pace | None = None) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[_Sending] = deque()
        self._under_way: dict[int, _Sending] = {}
        self._room = MAX_IN_FLIGHT
        self._closing = False
        duties = Duties(
            opened=self._opened, closed=self._closed, turn=self._send, confirmed=self._confirmed
        )
        self._connection = Connection(broker, name, duties, pace or Pace())
        self._connection.open()

    @property
    def connected(self) -> bool:
        """Whether the broker has let it in."""
        return self._connection.connected

    def publish(
        self, topic: Topic, payload: bytes, *, retain: bool = False, timeout_s: float = CONFIRM_S
    ) -> None:
        """Publish a message, and wait until the broker has it.

        Raises:
            LimitExceededError: it is longer than a device would take.
            LinkError: the broker refuses it, or has not confirmed it in time; it may have it.
        """
        self.publish_all([Outgoing(topic, payload, retain)], timeout_s=timeout_s)

    def publish_all(self, messages: Iterable[Outgoing], *, timeout_s: float = CONFIRM_S) -> None:
        """Publish messages in order, and wait until the broker has them all.

        Raises:
            LimitExceededError: one is longer than a device would take; none is sent.
            LinkError: the broker refuses one, or has not confirmed all in time; it may have some.
        """
        sendings = [_Sending(_checked(message)) for message in messages]
        with self._changed:
            self._waiting += sendings
            self._connection.ring()
            self._changed.wait_for(lambda: self._closing or _all_over(sendings), timeout_s)
            in_time = _all_over(sendings)
            for one in sendings:
                one.over = True
        if not in_time:
            raise LinkError(f"the broker has not confirmed a message within {timeout_s:g} s")
        for one in sendings:
            if one.refused is not None:
                raise LinkError(f"the broker refuses {one.message.topic}: {one.refused}")

    def close(self) -> None:
        """Hang up; what is not confirmed by now is an error to those who wait for it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._connection.close()

    def _opened(self, room: int) -> None:
        self._room = room

    def _closed(self) -> None:
        """Send again, in their order, what the broker may not have."""
        with self._changed:
            self._waiting.extendleft(reversed(self._under_way.values()))
            self._under_way.clear()

    def _send(self) -> None:
        with self._changed:
            while self._waiting and len(self._under_way) < self._room:
                one = self._waiting.popleft()
                if not one.over:
                    topic, payload, retain = one.message
                    receipt = self._connection.publish(str(topic), payload, retain=retain)
                    self._under_way[receipt] = one

    def _confirmed(self, receipt: int, refused: str | None) -> None:
        with self._changed:
            one = self._under_way.pop(receipt, None)
            if one is not None:
                one.over, one.refused = True, refused
                self._changed.notify_all()


@dataclass(eq=False)
class _Sending:
    """A message that someone waits for.

    Attributes:
        over: nobody waits any more: the broker has answered, or too late.
    """

    message: Outgoing
    over: bool = False
    refused: str | None = None


def _checked(message: Outgoing) -> Outgoing:
    length_bytes = len(message.payload)
    if length_bytes > MAX_PAYLOAD_BYTES:
        raise LimitExceededError(
            f"{message.topic}: {length_bytes} bytes, at most {MAX_PAYLOAD_BYTES} are sent"
        )
    return message


def _all_over(sendings: Iterable[_Sending]) -> bool:
    return all(one.over for one in sendings)
