# SPDX-License-Identifier: Apache-2.0
"""One connection of a device to its broker over MQTT 5, from the first packet to the last.

The one module of this distribution that knows MQTT. It carries bytes: what they
say, and what is sent again, is others' business (`outbox`, `forward`), and whether
there is a next connection `link`'s. Every connection is a session of its own, named
in its will, in `Connected` and so in the birth (rule T6 in docs/formats/fleet.md).

The broker keeps what the cloud says while the device is away. A `desired` that was
handed over and then lost in a crash comes again because the cloud reads `Reported`.
"""

import logging
import secrets
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from insight_edge.documents.codec import MAX_PAYLOAD_BYTES, digest, encode_wire
from insight_edge.documents.device import Death
from insight_edge.documents.enrolment import Broker, Identity
from insight_edge.documents.topics import DOWN, Kind, Topic, parse_topic
from insight_edge.errors import DocumentError, LinkError
from insight_edge.fleet.link.broker_trust import Tls, tls_of
from insight_edge.fleet.link.events import (
    Connected,
    Declined,
    LinkEvent,
    Published,
    Received,
)
from insight_edge.fleet.link.flight import Flight, Outgoing

MAX_IN_FLIGHT: Final = 64
RECEIVE_MAXIMUM: Final = 32
SESSION_EXPIRY_S: Final = 24 * 3600
MAX_PACKET_BYTES: Final = MAX_PAYLOAD_BYTES + 64 * 1024
"""No longer packet is taken into memory: the connection that brings one is given up."""

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Of a subscription, whose messages may be pictures."""

UNHEARD_S: Final = 3600

_HEADER_BYTES: Final = 16

_log = logging.getLogger(__name__)

Tell = Callable[[LinkEvent], None]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How patient a link is.

    Attributes:
        answer_s: a broker that has not let the device in by then does not answer.
        stable_s: after a connection that lasted so long, pauses start small again.
        goodbye_s: how long `close` waits for the broker to hear it.
    """

    keepalive_s: int = 30
    answer_s: float = 10.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 120.0
    stable_s: float = 20.0
    goodbye_s: float = 2.0

    def pause_s(self, failures: int, share: float) -> float:
        """Return how long to wait after so many failures in a row, anything up to a bound."""
        doubled_s = self.first_pause_s * 2.0 ** min(failures - 1, 60)
        return min(doubled_s, self.longest_pause_s) * share


class _Client(mqtt.Client):
    """A client that takes no packet into memory beyond a bound."""

    most_bytes = MAX_PACKET_BYTES

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > self.most_bytes:
            raise ConnectionError(f"a packet of {bufsize} bytes")
        return super()._sock_recv(bufsize)


class Connection:
    """One connection, from the first packet to the last; used by one thread alone.

    Args:
        identity: who this device is, and where its broker is.
        flight: messages to send, opened while the broker takes them.
        tell: called with every event.
        drop: called with topic and length of a message that is none for this device.
        pace: how patient it is.
    """

    def __init__(
        self,
        identity: Identity,
        flight: Flight,
        tell: Tell,
        drop: Callable[[str, int], None],
        pace: Pace,
    ) -> None:
        self._identity = identity
        self._flight = flight
        self._tell = tell
        self._drop = drop
        self._pace = pace
        self._session = secrets.token_hex(16)
        self._room = MAX_IN_FLIGHT
        self._most_bytes = MAX_PACKET_BYTES
        self._names: dict[int, str] = {}
        self._up = False
        self._goodbye: int | None = None
        self._deadline_s = 0.0
        self._over: str | None = None

    def run(self, tls: Tls | None, ear: socket.socket, closing: threading.Event) -> str:
        """Connect, carry, and return why it is over."""
        broker = self._identity.broker
        client = self._client = self._new_client(tls)
        try:
            client.connect(
                broker.host,
                broker.port,
                keepalive=self._pace.keepalive_s,
                clean_start=False,
                properties=_properties(),
            )
            self._deadline_s = time.monotonic() + self._pace.answer_s
            self._carry(ear, closing)
        except OSError as error:
            return error.strerror or str(error)
        except Exception as error:  # noqa: BLE001 (whatever a broker sends costs one connection)
            _log.warning("link: %s", error, exc_info=True)
            return f"{type(error).__name__}: {error}"
        finally:
            _hang_up(client, tls)
        return self._over or "closed"

    def _carry(self, ear: socket.socket, closing: threading.Event) -> None:
        line: Any = self._client.socket()
        with selectors.DefaultSelector() as selector:
            selector.register(ear, selectors.EVENT_READ)
            selector.register(line, selectors.EVENT_READ)
            while self._over is None:
                writing = selectors.EVENT_WRITE if self._client.want_write() else 0
                selector.modify(line, selectors.EVENT_READ | writing)
                settled = self._up and self._goodbye is None
                for key, ready in selector.select(self._pace.keepalive_s / 4 if settled else 0.1):
                    if key.fileobj is ear:
                        _drain(ear)
                    else:
                        self._exchange(ready)
                self._turn(closing)

    def _exchange(self, ready: int) -> None:
        if ready & selectors.EVENT_READ:
            self._client.loop_read()
            # What TLS has decrypted already wakes no selector.
            while isinstance(line := self._client.socket(), ssl.SSLSocket) and line.pending():
                self._client.loop_read()
        if ready & selectors.EVENT_WRITE:
            self._client.loop_write()

    def _turn(self, closing: threading.Event) -> None:
        """Do what time and the other threads ask for."""
        self._client.loop_misc()
        if self._client.socket() is None:
            self._over = self._over or "the broker hung up"
        elif closing.is_set():
            self._leave()
        elif self._up:
            for message in self._flight.take():
                self._send(message)
        elif time.monotonic() > self._deadline_s:
            self._over = "the broker does not answer"

    def _send(self, message: Outgoing) -> None:
        topic = str(self._topic(message.kind))
        if len(message.payload) + len(topic) + _HEADER_BYTES > self._most_bytes:
            self._flight.done(message.digest)
            self._tell(Declined(message.digest, "longer than the broker takes"))
        else:
            sent = self._client.publish(topic, message.payload, qos=1)
            self._names[sent.mid] = message.digest

    def _leave(self) -> None:
        """Say goodbye, and hang up once the broker has heard it; there is no will then."""
        if self._goodbye is None:
            self._deadline_s = time.monotonic() + self._pace.goodbye_s
            self._goodbye = 0
            if self._up:
                words = self._death("stopped")
                sent = self._client.publish(str(self._topic(Kind.DEATH)), words, qos=1)
                self._goodbye = sent.mid
                self._names[sent.mid] = digest(words)
        if self._goodbye not in self._names or time.monotonic() > self._deadline_s:
            self._client.disconnect()
            self._over = "closed"

    def _death(self, reason: Literal["lost", "stopped"]) -> bytes:
        device = self._identity.device
        return encode_wire(Death(device=device, session=self._session, reason=reason))

    def _topic(self, kind: Kind) -> Topic:
        return Topic(self._identity.tenant, self._identity.device, kind)

    def _new_client(self, tls: Tls | None) -> _Client:
        identity = self._identity
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{identity.tenant}:{identity.device}",
            protocol=mqtt.MQTTv5,
        )
        client.connect_timeout = self._pace.answer_s
        client.max_inflight_messages = MAX_IN_FLIGHT + 1
        if identity.broker.username is not None:
            client.username_pw_set(identity.broker.username, identity.broker.password)
        if tls is not None:
            client.tls_set_context(tls)
        client.will_set(str(self._topic(Kind.DEATH)), self._death("lost"), qos=1)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        return client

    def _on_connect(
        self, client: mqtt.Client, _: Any, __: Any, reason: ReasonCode, found: Properties | None
    ) -> None:
        if reason.is_failure:
            self._over = f"the broker refuses: {reason}"
            return
        self._room = min(self._room, getattr(found, "ReceiveMaximum", self._room))
        self._most_bytes = min(
            self._most_bytes, getattr(found, "MaximumPacketSize", self._most_bytes)
        )
        options = mqtt.SubscribeOptions(qos=1)
        client.subscribe([(str(self._topic(kind)), options) for kind in sorted(DOWN)])

    def _on_subscribe(
        self, _: Any, __: Any, ___: Any, reasons: list[ReasonCode], ____: Any
    ) -> None:
        refused = [reason for reason in reasons if reason.is_failure]
        if refused:
            self._over = f"the broker refuses a subscription: {refused[0]}"
            return
        self._up = True
        self._flight.open(self._room)
        self._tell(Connected(self._session))

    def _on_message(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        topic = message.topic
        kind = self._kind_of(topic)
        if kind is None or len(message.payload) > MAX_PAYLOAD_BYTES:
            self._drop(topic, len(message.payload))
        else:
            self._tell(Received(kind, bytes(message.payload)))

    def _kind_of(self, text: str) -> Kind | None:
        try:
            topic = parse_topic(text)
        except DocumentError:
            return None
        return topic.kind if topic.kind in DOWN and topic == self._topic(topic.kind) else None

    def _on_publish(self, _: Any, __: Any, mid: int, reason: ReasonCode, ___: Any) -> None:
        name = self._names.pop(mid, None)
        if name is None:
            return
        self._flight.done(name)
        if mid != self._goodbye:
            failed = reason.is_failure
            self._tell(Declined(name, str(reason)) if failed else Published(name))

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        self._over = self._over or f"the connection is lost: {reason}"


def try_login(identity: Identity, *, timeout_s: float = 5.0) -> str | None:
    """Return why the broker does not let a device in, None where it does.

    It comes under a name of its own, says nothing, and leaves the link of an agent as it is.

    Raises:
        ConfigurationError: the broker cannot be known (`broker_trust.tls_of`).
    """
    broker, tls = identity.broker, tls_of(identity.broker)
    client = _Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"{identity.tenant}:{identity.device}:{secrets.token_hex(4)}",
        protocol=mqtt.MQTTv5,
    )
    client.connect_timeout = timeout_s
    if broker.username is not None:
        client.username_pw_set(broker.username, broker.password)
    if tls is not None:
        client.tls_set_context(tls)
    said: list[ReasonCode] = []
    client.on_connect = lambda _, __, ___, reason, ____: said.append(reason)
    deadline_s = time.monotonic() + timeout_s
    try:
        client.connect(broker.host, broker.port)
        while not said and time.monotonic() < deadline_s and client.socket() is not None:
            client.loop(timeout=0.1)
        if said and not said[0].is_failure:
            client.disconnect()
            return None
    except OSError as error:
        return error.strerror or str(error)
    finally:
        _hang_up(client, tls)
    return f"refuses: {said[0]}" if said else "it does not answer"


class Subscription:
    """Messages of a topic filter at any broker, read by one thread, no further than it asks.

    What is not asked for waits at the broker. One that is asked for too rarely sends no signs of
    life, so the broker is not promised any within an hour; the kernel finds a dead line.

    Args:
        broker: and whom it knows this program as.
        topic: filter.

    Raises:
        LinkError: the broker cannot be reached, or does not let it in or hear that.
        ConfigurationError: the broker cannot be known (`broker_trust.tls_of`).
    """

    def __init__(self, broker: Broker, topic: str, *, answer_s: float = 10.0) -> None:
        self._inbox: deque[tuple[str, bytes]] = deque()
        self._broker, self._topic = broker, topic
        self._heard: bool = False
        self._over: str | None = None
        self._tls = tls_of(broker)
        self._client = self._new_client(answer_s)
        try:
            self._come_in(answer_s)
        except BaseException:
            self.close()
            raise

    def next(self, timeout_s: float) -> tuple[str, bytes] | None:
        """Return topic and payload of the next message; None where none came in time.

        Raises:
            LinkError: the connection is lost.
        """
        deadline_s = time.monotonic() + timeout_s
        while not self._inbox and (left_s := deadline_s - time.monotonic()) > 0:
            self._turn(left_s)
        return self._inbox.popleft() if self._inbox else None

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError, ValueError):
            self._client.disconnect()
        _hang_up(self._client, self._tls)

    def _come_in(self, answer_s: float) -> None:
        broker, deadline_s = self._broker, time.monotonic() + answer_s
        properties = _properties(expiry_s=0, most_bytes=MAX_MESSAGE_BYTES)
        try:
            self._client.connect(
                broker.host, broker.port, UNHEARD_S, clean_start=True, properties=properties
            )
        except OSError as error:
            raise LinkError(
                f"{broker.host}:{broker.port}: {error.strerror or str(error)}"
            ) from error
        line = self._client.socket()
        if isinstance(line, socket.socket):
            _keep_alive(line)
        while not self._heard:
            if time.monotonic() > deadline_s:
                raise LinkError(f"{broker.host}:{broker.port}: the broker does not answer")
            self._turn(0.1)

    def _turn(self, timeout_s: float) -> None:
        """Read and write what can be, one packet or a few."""
        client, line = self._client, self._client.socket()
        if self._over is not None or not isinstance(line, socket.socket):
            raise LinkError(self._over or "the broker hung up")
        try:
            if _wait(line, writing=client.want_write(), timeout_s=timeout_s):
                client.loop_read()
            if client.want_write():
                client.loop_write()
            client.loop_misc()
        except OSError as error:
            raise LinkError(f"the connection is lost: {error}") from error

    def _new_client(self, answer_s: float) -> _Client:
        client = _Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.most_bytes = MAX_MESSAGE_BYTES
        client.connect_timeout = answer_s
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda _, __, m: self._inbox.append((m.topic, bytes(m.payload)))
        client.on_disconnect = self._on_disconnect
        return client

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        self._over = self._over or f"the connection is lost: {reason}"

    def _on_connect(
        self, client: mqtt.Client, _: Any, __: Any, reason: ReasonCode, ___: Any
    ) -> None:
        if reason.is_failure:
            self._over = f"the broker refuses: {reason}"
        else:
            client.subscribe([(self._topic, mqtt.SubscribeOptions(qos=1))])

    def _on_subscribe(
        self, _: Any, __: Any, ___: Any, reasons: list[ReasonCode], ____: Any
    ) -> None:
        refused = [reason for reason in reasons if reason.is_failure]
        self._heard = not refused
        if refused:
            self._over = f"the broker refuses the subscription to {self._topic}: {refused[0]}"


def _wait(line: socket.socket, *, writing: bool, timeout_s: float) -> bool:
    """Wait until something comes, or can be written; return whether something came."""
    if isinstance(line, ssl.SSLSocket) and line.pending():
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ | (selectors.EVENT_WRITE * writing))
        return any(ready & selectors.EVENT_READ for _, ready in selector.select(timeout_s))


def _keep_alive(line: socket.socket) -> None:
    """Let the kernel find out within two minutes that nobody is there any more."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _properties(
    *, expiry_s: int = SESSION_EXPIRY_S, most_bytes: int = MAX_PACKET_BYTES
) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = expiry_s
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = most_bytes
    return properties


def _drain(ear: socket.socket) -> None:
    with suppress(BlockingIOError):
        while ear.recv(4096):
            pass


def _hang_up(client: mqtt.Client, tls: Tls | None) -> None:
    """Leave no descriptor open, nor a cycle that would keep the client's own until it is found."""
    line = client.socket()
    if line is not None:
        line.close()
    if tls is not None:
        tls.close()
    client.on_connect = client.on_subscribe = client.on_message = None
    client.on_publish = client.on_disconnect = None
