# SPDX-License-Identifier: Apache-2.0
"""The cloud's end of MQTT 5: a connection to the broker, kept up by a thread of its own.

The one module of this distribution that knows MQTT; `subscriber` and `publisher`
are what it is used through. It carries bytes: what they say, and what is said again,
is others' business. Two connections of one name drive each other out.

Its sessions end with their connection. Members of a group would otherwise go on
getting their share when they are gone, and one that leaves such a session with
messages unconfirmed takes rumqttd down with it.
"""

import logging
import random
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from insight_cloud.platform.broker_config import is_loopback
from insight_cloud.platform.packets import PUBACK, acknowledgements, parse_publish, publish_at
from insight_edge.documents.codec import MAX_WIRE_BYTES
from insight_edge.documents.enrolment import Broker
from insight_edge.errors import ConfigurationError

MAX_PAYLOAD_BYTES: Final = MAX_WIRE_BYTES + 16 * 1024
"""What packing makes of a document of `MAX_WIRE_BYTES` that cannot be packed, and no more."""

MAX_PACKET_BYTES: Final = MAX_PAYLOAD_BYTES + 64 * 1024
"""No longer packet is taken into memory: the connection that brings one is given up."""

MAX_IN_FLIGHT: Final = 100
READ_BYTES: Final = 64 * 1024
"""Read at a time, however short the packets are."""

GATHER_S: Final = 0.002
"""Whoever takes many messages waits so long for others when one comes, and reads them together."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How patient a connection is.

    Attributes:
        answer_s: a broker that has not let it in by then does not answer.
        stable_s: after a connection that lasted so long, pauses start small again.
    """

    keepalive_s: int = 30
    answer_s: float = 10.0
    first_pause_s: float = 0.1
    longest_pause_s: float = 5.0
    stable_s: float = 5.0

    def pause_s(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row, anything up to a bound."""
        doubled_s = self.first_pause_s * 2.0 ** min(failures - 1, 60)
        return min(doubled_s, self.longest_pause_s) * random.random()  # noqa: S311 (no secret)


def _nothing(*_: Any) -> None:
    """Do what a duty asks that nobody has."""


@dataclass(frozen=True, kw_only=True)
class Duties:
    """What a connection is for; all is called in its thread.

    Attributes:
        filters: what it subscribes to.
        receive_maximum: messages that the broker sends ahead of their acknowledgement.
        has_room: whether more should be read.
        opened: with how many messages the broker takes ahead of its own.
        closed: when the connection is over, or none was made.
        came: with receipt (0: none is wanted), topic and payload of a message.
        turn: now and then, and soon after `ring`.
        confirmed: with the receipt of a message that was published, and why it is refused.
    """

    filters: Sequence[str] = ()
    receive_maximum: int = 1
    has_room: Callable[[], bool] = lambda: True
    opened: Callable[[int], None] = _nothing
    closed: Callable[[], None] = _nothing
    came: Callable[[int, str, bytes], None] = _nothing
    turn: Callable[[], None] = _nothing
    confirmed: Callable[[int, str | None], None] = _nothing


class _Client(mqtt.Client):
    """A client that takes no packet into memory beyond a bound, and many with one system call.

    Attributes:
        came: is handed receipt, topic and payload of every message.
    """

    came: Callable[[int, bytes, bytes], None] = staticmethod(_nothing)
    _ahead = memoryview(b"")

    @property
    def holds(self) -> bool:
        """Whether there is something to be read that wakes no selector."""
        line = self._sock
        return bool(self._ahead) or (isinstance(line, ssl.SSLSocket) and line.pending() > 0)

    def acknowledge(self, receipts: Sequence[int]) -> None:
        """Give receipts back, in this order."""
        self._packet_queue(PUBACK, acknowledgements(receipts), 0, 0)

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > MAX_PACKET_BYTES:
            raise ConnectionError(f"a packet of {bufsize} bytes")
        if not self._ahead:
            self._ahead = memoryview(super()._sock_recv(max(bufsize, READ_BYTES)))
        found, self._ahead = bytes(self._ahead[:bufsize]), self._ahead[bufsize:]
        return found

    def _handle_publish(self) -> mqtt.MQTTErrorCode:
        self.came(*parse_publish(self._in_packet["command"], self._in_packet["packet"]))
        self._take_ahead()
        return mqtt.MQTTErrorCode.MQTT_ERR_SUCCESS

    def _take_ahead(self) -> None:
        """Hand over the messages that were read together with the one before.

        The library would read each in five pieces, for more time than all else takes here.
        """
        begin, end = publish_at(self._ahead)
        while end:
            packet, self._ahead = self._ahead[:end], self._ahead[end:]
            self.came(*parse_publish(packet[0], packet[begin:]))
            begin, end = publish_at(self._ahead)


class Connection:
    """A connection that is kept up until `close`.

    Attributes:
        connected: whether the broker has let it in, and its subscriptions stand.

    Raises:
        ConfigurationError: the broker is on another machine and no CA says who it is.
    """

    def __init__(self, broker: Broker, name: str, duties: Duties, pace: Pace) -> None:
        self._broker = broker
        self._name = name
        self._duties = duties
        self._pace = pace
        self._tls = _tls_of(broker)
        self._client: _Client
        self._over: str | None = None
        self.connected = False
        self._deadline_s = 0.0
        self._closing = threading.Event()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=f"mqtt {name}", daemon=True)

    def open(self) -> None:
        """Begin; the duties may be called from now on."""
        self._thread.start()

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Send a message and return its receipt; from a duty alone."""
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    def acknowledge(self, receipts: Sequence[int]) -> None:
        """Give receipts back; from a duty alone, and in the order they came."""
        self._client.acknowledge(receipts)

    def ring(self) -> None:
        """Have the thread take its next turn now."""
        with suppress(OSError):  # it has rung already, or there is nobody to hear it any more
            self._bell.send(b"!")

    def renew(self) -> None:
        """Give this connection up for another one."""
        self._over = "given up for another one"
        self.ring()

    def close(self) -> None:
        """Hang up and wait for the thread."""
        self._closing.set()
        self.ring()
        self._thread.join()
        self._bell.close()
        self._ear.close()

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            began_s = time.monotonic()
            reason = self._connect_and_carry()
            self.connected = False
            stable = time.monotonic() - began_s >= self._pace.stable_s
            failures = 1 if stable else failures + 1
            self._duties.closed()
            if not self._closing.is_set():
                _log.warning("%s: %s", self._name, reason)
                self._closing.wait(self._pace.pause_s(failures))

    def _connect_and_carry(self) -> str:
        self._over = None
        client = self._client = self._new_client()
        try:
            client.connect(
                self._broker.host,
                self._broker.port,
                keepalive=self._pace.keepalive_s,
                clean_start=True,
                properties=_properties(self._duties.receive_maximum),
            )
            self._deadline_s = time.monotonic() + self._pace.answer_s
            self._carry(client)
        except OSError as error:
            return error.strerror or str(error)
        except Exception as error:  # noqa: BLE001 (whatever a broker sends costs one connection)
            return f"{type(error).__name__}: {error}"
        finally:
            _hang_up(client)
        return self._over or "closed"

    def _carry(self, client: _Client) -> None:
        line: Any = client.socket()
        with selectors.DefaultSelector() as selector:
            selector.register(self._ear, selectors.EVENT_READ)
            selector.register(line, selectors.EVENT_READ)
            while self._over is None:
                reading = selectors.EVENT_READ if self._duties.has_room() else 0
                writing = selectors.EVENT_WRITE if client.want_write() else 0
                _listen(selector, line, reading | writing)
                held = reading if client.holds else 0
                ready = held | self._await(selector, 0.0 if held else self._pace.keepalive_s / 4)
                if ready:
                    self._exchange(client, ready)
                self._turn(client)

    def _await(self, selector: selectors.BaseSelector, timeout_s: float) -> int:
        """Wait until the bell rings, or return for what the line is ready."""
        ready = 0
        for key, events in selector.select(timeout_s):
            if key.fileobj is self._ear:
                _drain(self._ear)
            else:
                ready = events
        return ready

    def _exchange(self, client: _Client, ready: int) -> None:
        if ready & selectors.EVENT_READ:
            if self._duties.filters:
                time.sleep(GATHER_S)
            client.loop_read()
            while client.holds and self._duties.has_room():
                client.loop_read()
        if ready & selectors.EVENT_WRITE:
            client.loop_write()

    def _turn(self, client: mqtt.Client) -> None:
        client.loop_misc()
        if client.socket() is None:
            self._over = self._over or "the broker hung up"
        elif self._closing.is_set():
            client.disconnect()
            self._over = "closed"
        elif self.connected:
            self._duties.turn()
        elif time.monotonic() > self._deadline_s:
            self._over = "the broker does not answer"

    def _new_client(self) -> _Client:
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._name,
            protocol=mqtt.MQTTv5,
            manual_ack=True,
        )
        client.connect_timeout = self._pace.answer_s
        client.max_inflight_messages = MAX_IN_FLIGHT
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.came = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        return client

    def _on_connect(
        self, client: mqtt.Client, _: Any, __: Any, reason: ReasonCode, found: Properties | None
    ) -> None:
        if reason.is_failure:
            self._over = f"the broker refuses: {reason}"
            return
        self._duties.opened(min(MAX_IN_FLIGHT, getattr(found, "ReceiveMaximum", MAX_IN_FLIGHT)))
        if self._duties.filters:
            options = mqtt.SubscribeOptions(qos=1)
            client.subscribe([(one, options) for one in self._duties.filters])
        else:
            self.connected = True

    def _on_subscribe(
        self, _: Any, __: Any, ___: Any, reasons: list[ReasonCode], ____: Any
    ) -> None:
        refused = [reason for reason in reasons if reason.is_failure]
        if refused:
            self._over = f"the broker refuses a subscription: {refused[0]}"
        else:
            self.connected = True

    def _on_message(self, receipt: int, topic: bytes, payload: bytes) -> None:
        self._duties.came(receipt, topic.decode(errors="replace"), payload)

    def _on_publish(self, _: Any, __: Any, mid: int, reason: ReasonCode, ___: Any) -> None:
        self._duties.confirmed(mid, str(reason) if reason.is_failure else None)

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        self._over = self._over or f"the connection is lost: {reason}"


def _properties(receive_maximum: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0
    properties.ReceiveMaximum = receive_maximum
    properties.MaximumPacketSize = MAX_PACKET_BYTES
    return properties


def _tls_of(broker: Broker) -> ssl.SSLContext | None:
    if broker.ca is None:
        if not is_loopback(broker.host):
            raise ConfigurationError(
                f"the broker {broker.host} is not on this machine and no CA says who it is"
            )
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=broker.ca)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(f"the broker's CA cannot be read: {error}") from error
    return context


def _listen(selector: selectors.BaseSelector, line: Any, events: int) -> None:
    """Wait for these events on a connection, possibly none."""
    known = line in selector.get_map()
    if events and known:
        selector.modify(line, events)
    elif events:
        selector.register(line, events)
    elif known:
        selector.unregister(line)


def _drain(ear: socket.socket) -> None:
    with suppress(BlockingIOError):
        while ear.recv(4096):
            pass


def _hang_up(client: _Client) -> None:
    """Leave no descriptor open, nor a cycle that would keep the client's own until it is found."""
    line = client.socket()
    if line is not None:
        line.close()
    client.on_connect = client.on_subscribe = None
    client.came = _nothing
    client.on_publish = client.on_disconnect = None
