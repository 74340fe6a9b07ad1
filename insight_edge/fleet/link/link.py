# SPDX-License-Identifier: Apache-2.0
"""The device's link to its broker: one connection after another, kept up by a thread of its own.

What a connection says and hears is `connection`'s; what happens is told as events,
in order. Only `close` ends a link: whatever a broker does costs one connection, and
the next is tried after a pause.
"""

import logging
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from insight_edge.documents.codec import MAX_PAYLOAD_BYTES, digest
from insight_edge.documents.enrolment import Identity
from insight_edge.documents.topics import UP, Kind
from insight_edge.errors import LimitExceededError
from insight_edge.fleet.link.broker_trust import tls_of
from insight_edge.fleet.link.connection import Connection, Pace, Tell
from insight_edge.fleet.link.events import Disconnected
from insight_edge.fleet.link.flight import Flight, Outgoing

_log = logging.getLogger(__name__)


class Link:
    """A link that is kept up from now on, until `close`.

    Args:
        identity: who this device is, and where its broker is.
        events: called with every event from the link's thread; it must neither wait nor raise.
        pace: how patient it is.
        share: a number from 0 to 1 at random, so that a fleet does not come back in step.

    Raises:
        ConfigurationError: the broker cannot be known (`broker_trust.tls_of`).
    """

    def __init__(
        self,
        identity: Identity,
        events: Tell,
        *,
        pace: Pace | None = None,
        share: Callable[[], float] = random.random,
    ) -> None:
        self._identity = identity
        self._tls = tls_of(identity.broker)
        self._tell = events
        self._pace = pace or Pace()
        self._share = share
        self._flight = Flight()
        self._dropped = 0
        self._closing = threading.Event()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="insight-edge link", daemon=True)
        self._thread.start()

    @property
    def room(self) -> int:
        """How many messages `publish` would take now; 0 without a connection."""
        return self._flight.room

    @property
    def in_flight(self) -> frozenset[str]:
        """Digests of messages that were taken and that the broker has not answered for."""
        return self._flight.digests

    @property
    def dropped(self) -> int:
        """Messages that came and were none for this device, or too long."""
        return self._dropped

    def publish(self, kind: Kind, payload: bytes) -> bool:
        """Take a message to be sent if there is a connection and room; this never waits.

        One that is under way is not sent twice. `Published` tells when the broker has it;
        where `Disconnected` comes first, it is no longer under way.

        Raises:
            LimitExceededError: it is longer than any broker would take.
        """
        if kind not in UP or kind is Kind.DEATH:
            raise ValueError(f"a {kind.value} is not published by a device")
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise LimitExceededError(
                f"{kind.value}: {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES} are sent"
            )
        taken = self._flight.offer(Outgoing(kind, payload, digest(payload)))
        self._ring()
        return taken

    def close(self) -> None:
        """Say goodbye, hang up and wait for the thread; what is under way is forgotten."""
        self._closing.set()
        self._ring()
        self._thread.join()
        self._bell.close()
        self._ear.close()

    def _drop(self, topic: str, length_bytes: int) -> None:
        self._dropped += 1
        _log.warning("link: dropped %d bytes on %.200r", length_bytes, topic)

    def _ring(self) -> None:
        with suppress(OSError):  # it has rung already, or there is nobody to hear it any more
            self._bell.send(b"!")

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            began_s = time.monotonic()
            connection = Connection(
                self._identity, self._flight, self._tell, self._drop, self._pace
            )
            reason = connection.run(self._tls, self._ear, self._closing)
            self._flight.shut()
            self._tell(Disconnected(reason))
            stable = time.monotonic() - began_s >= self._pace.stable_s
            failures = 1 if stable else failures + 1
            self._closing.wait(self._pace.pause_s(failures, self._share()))
