# SPDX-License-Identifier: Apache-2.0
"""Takes what devices say, in batches to be committed: what an ingester reads.

A message counts as taken when its batch is acknowledged. What is lost before,
with the connection or the program, devices send again (rule T3 in
docs/formats/fleet.md). It reads no payload.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache, partial
from typing import Final

from insight_cloud.platform.inbox import MAX_BYTES, Arrived, Batch, Inbox
from insight_cloud.platform.mqtt import MAX_PAYLOAD_BYTES, Connection, Duties, Pace
from insight_edge.documents.enrolment import Broker
from insight_edge.documents.topics import Kind, Topic, parse_topic, subscription
from insight_edge.errors import DocumentError

RECEIVE_MAXIMUM: Final = 400
"""Two batches, or an ingester waits for messages that are not sent; that many on each line."""

LINES: Final = 2
"""Connections: rumqttd sends 100 messages ahead on each, and what a batch costs it costs once."""

KNOWN_TOPICS: Final = 4096
"""Remembered; to parse one takes a quarter of what else is done with a message here."""

_log = logging.getLogger(__name__)


class Subscriber:
    """Takes what devices say, as a member of a group; one thread takes batches.

    Args:
        broker: where to connect, and as whom.
        name: of its connections, with a number; unlike any other's at this broker.
        group: its members get each message once between them.
        kinds: of messages, in any order.
        in_order: kinds of which each member of the group gets its share in order.
        lines: connections that bring messages; what is in order comes by the first.
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
        in_order: Collection[Kind] = (),
        lines: int = LINES,
        max_bytes: int = MAX_BYTES,
        pace: Pace | None = None,
    ) -> None:
        self._dropped = 0
        self._inbox = Inbox(RECEIVE_MAXIMUM, max_bytes)
        wanted = [{*kinds, *in_order}, *[kinds] * (lines - 1)]
        self._connections = [
            Connection(
                broker,
                f"{name}-{line}",
                self._duties(line, _filters(some, group)),
                pace or Pace(),
            )
            for line, some in enumerate(wanted)
        ]
        for connection in self._connections:
            connection.open()

    @property
    def connected(self) -> bool:
        """Whether the broker has let it in by every line, and its subscriptions stand."""
        return all(connection.connected for connection in self._connections)

    @property
    def dropped(self) -> int:
        """Messages that came and were none of ours, or too long; the broker sends them no more."""
        return self._dropped

    def batches(self, max_rows: int = 200, wait_s: float = 0.05) -> Iterator[Batch]:
        """Yield messages as they come, until `close`.

        A batch that was not acknowledged when the next is asked for costs the connections. Its
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
                for connection in self._connections:
                    connection.renew()

    def close(self) -> None:
        """Hang up, and end `batches`."""
        self._inbox.close()
        for connection in self._connections:
            connection.close()

    def _settle(self, arrived: Sequence[Arrived]) -> None:
        self._inbox.give_back(arrived)
        for connection in self._connections:
            connection.ring()

    def _duties(self, line: int, filters: Sequence[str]) -> Duties:
        return Duties(
            filters=filters,
            receive_maximum=RECEIVE_MAXIMUM,
            has_room=lambda: self._inbox.has_room,
            opened=lambda _: self._inbox.renew(line),
            came=partial(self._came, line),
            turn=lambda: self._give_back(line),
        )

    def _came(self, line: int, receipt: int, text: str, payload: bytes) -> None:
        topic = _topic_of(text, len(payload))
        if topic is None:
            self._dropped += 1
            _log.warning("dropped %d bytes on %.200r", len(payload), text)
        self._inbox.put(receipt, topic, b"" if topic is None else payload, line)

    def _give_back(self, line: int) -> None:
        if receipts := self._inbox.receipts(line):
            self._connections[line].acknowledge(receipts)


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
