# SPDX-License-Identifier: Apache-2.0
"""Takes what devices say, in batches to be committed: what an ingester reads.

A message counts as taken when its batch is acknowledged. What is lost before,
with the connection or the program, devices send again (rule T3 in
docs/formats/fleet.md). It reads no payload.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Final

from insight_cloud.platform.inbox import MAX_BYTES, Arrived, Batch, Inbox
from insight_cloud.platform.mqtt import MAX_PAYLOAD_BYTES, Connection, Duties, Pace
from insight_edge.documents.enrolment import Broker
from insight_edge.documents.topics import Kind, Topic, parse_topic, subscription
from insight_edge.errors import DocumentError

RECEIVE_MAXIMUM: Final = 400
"""Two batches, or an ingester waits for messages that are not sent; some brokers send fewer."""

KNOWN_TOPICS: Final = 4096
"""Remembered; to parse one takes a quarter of what else is done with a message here."""

_log = logging.getLogger(__name__)


class Subscriber:
    """Takes what devices say, as a member of a group; one thread takes batches.

    Args:
        broker: where to connect, and as whom.
        name: of this connection, unlike any other's at this broker.
        group: its members get each message once between them.
        kinds: of messages.
        receive_maximum: messages that the broker sends ahead of their acknowledgement.
        max_bytes: of payloads that wait here.
        pace: how patient it is.

    Raises:
        ConfigurationError: the broker is on another machine and no CA says who it is.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        name: str,
        group: str,
        kinds: Collection[Kind],
        receive_maximum: int = RECEIVE_MAXIMUM,
        max_bytes: int = MAX_BYTES,
        pace: Pace | None = None,
    ) -> None:
        self._dropped = 0
        self._inbox = Inbox(receive_maximum, max_bytes)
        duties = Duties(
            filters=_filters(kinds, group),
            receive_maximum=receive_maximum,
            has_room=lambda: self._inbox.has_room,
            opened=lambda _: self._inbox.renew(),
            came=self._came,
            turn=self._give_back,
        )
        self._connection = Connection(broker, name, duties, pace or Pace())
        self._connection.open()

    @property
    def connected(self) -> bool:
        """Whether the broker has let it in, and its subscriptions stand."""
        return self._connection.connected

    @property
    def dropped(self) -> int:
        """Messages that came and were none of ours, or too long; the broker sends them no more."""
        return self._dropped

    def batches(self, max_rows: int = 200, wait_s: float = 0.05) -> Iterator[Batch]:
        """Yield messages as they come, until `close`.

        A batch that was not acknowledged when the next is asked for costs the connection. Its
        messages come again, from the broker or else from the devices.

        Args:
            max_rows: messages in a batch, at most.
            wait_s: how long the first message of a batch waits for others; a tenth of it
                where none comes.
        """
        while arrived := self._inbox.take(max_rows, wait_s):
            batch = Batch(arrived, self._settle)
            if batch.messages:
                yield batch
            else:
                batch.acknowledge()
            if not batch.acknowledged:
                self._connection.renew()

    def close(self) -> None:
        """Hang up, and end `batches`."""
        self._inbox.close()
        self._connection.close()

    def _settle(self, arrived: Sequence[Arrived]) -> None:
        self._inbox.give_back(arrived)
        self._connection.ring()

    def _came(self, receipt: int, text: str, payload: bytes) -> None:
        topic = _topic_of(text, len(payload))
        if topic is None:
            self._dropped += 1
            _log.warning("dropped %d bytes on %.200r", len(payload), text)
        self._inbox.put(receipt, topic, b"" if topic is None else payload)

    def _give_back(self) -> None:
        if receipts := self._inbox.receipts():
            self._connection.acknowledge(receipts)


def _filters(kinds: Collection[Kind], group: str) -> list[str]:
    """Return a filter for each kind, each of a group of its own.

    rumqttd keeps one place in its log a group, whatever the filters: those of one group lose
    each other's messages.
    """
    groups = {kind: f"{group}-{kind.value.replace('/', '-')}" for kind in sorted(kinds)}
    return [subscription(kind, share=name) for kind, name in groups.items()]


def _topic_of(text: str, length_bytes: int) -> Topic | None:
    """Return the topic of a message, None for one that is none of ours or too long."""
    try:
        topic = _parsed(text)
    except DocumentError:
        return None
    return topic if length_bytes <= MAX_PAYLOAD_BYTES else None


_parsed: Final = lru_cache(maxsize=KNOWN_TOPICS)(parse_topic)
