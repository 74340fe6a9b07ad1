# SPDX-License-Identifier: Apache-2.0
"""A real broker in a child process, devices that it knows, and what a test needs to wait for.

with running_broker(folder) as broker:
    with linked(broker, "press-1") as (link, heard):
        heard.next(Connected)
        ... kill(broker); broker.start() ...
"""

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from insight_cloud.platform.broker import EmbeddedBroker
from insight_cloud.platform.mqtt import Pace as CloudPace
from insight_edge.documents.enrolment import Broker, Identity
from insight_edge.documents.topics import TENANT
from insight_edge.fleet.link.connection import Pace
from insight_edge.fleet.link.events import LinkEvent
from insight_edge.fleet.link.link import Link

PATIENCE_S = 10.0
"""A test that waits for longer fails; none waits so long where all is well."""

POLL_S = 0.01

SWIFT = Pace(keepalive_s=4, first_pause_s=0.05, longest_pause_s=0.2, answer_s=2.0, goodbye_s=2.0)
CLOUD_SWIFT = CloudPace(keepalive_s=4, first_pause_s=0.05, longest_pause_s=0.2, answer_s=2.0)

E = TypeVar("E", bound=LinkEvent)


@contextmanager
def running_broker(folder: Path) -> Iterator[EmbeddedBroker]:
    """Run iotcore in a folder of its own."""
    with EmbeddedBroker(folder / "broker", program="iotcore") as broker:
        yield broker


def kill(broker: EmbeddedBroker) -> None:
    """Kill a broker with -9; `broker.start()` starts it again at the same address."""
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL)
    until(lambda: not broker.running)


def cloud_login(broker: EmbeddedBroker) -> Broker:
    return broker.login_of(broker.access.cloud)


def identity_of(broker: EmbeddedBroker, device: str) -> Identity:
    """Return the identity of a device that the broker lets in."""
    return identity(device, broker.login_of(broker.access.admit(TENANT, device, broker.program)))


def identity(device: str, broker: Broker) -> Identity:
    return Identity(
        tenant=TENANT,
        device=device,
        profile="rpi5-8gb",
        secret="s3cret",
        cloud="http://127.0.0.1:1",
        broker=broker,
        root="{}",
    )


class Heard:
    """Events in the order they happened."""

    def __init__(self) -> None:
        self._events: queue.Queue[LinkEvent] = queue.Queue()

    def tell(self, event: LinkEvent) -> None:
        self._events.put(event)

    def next(self, kind: type[E]) -> E:
        """Return the next event of a kind, and forget those before it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            event = self._events.get(timeout=max(0.0, deadline_s - time.monotonic()))
            if isinstance(event, kind):
                return event

    def now(self) -> list[LinkEvent]:
        """Return what has happened since, and forget it."""
        events = []
        while not self._events.empty():
            events.append(self._events.get())
        return events


@contextmanager
def linked(broker: EmbeddedBroker, device: str, pace: Pace = SWIFT) -> Iterator[tuple[Link, Heard]]:
    """Keep up the link of a device."""
    heard = Heard()
    link = Link(identity_of(broker, device), heard.tell, pace=pace)
    try:
        yield link, heard
    finally:
        link.close()


class Stranger:
    """A client of another make, which says and hears whatever it is told to."""

    def __init__(self, login: Broker, name: str, *, expiry_s: int = 0) -> None:
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.let_in = threading.Event()
        self.subscribed = threading.Event()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        client.username_pw_set(login.username, login.password)
        client.on_connect = self._on_connect
        client.on_message = lambda _, __, one: self.heard.put((one.topic, bytes(one.payload)))
        client.on_subscribe = lambda *_: self.subscribed.set()
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = expiry_s
        client.connect(login.host, login.port, clean_start=not expiry_s, properties=properties)
        client.loop_start()
        self.client = client
        assert self.let_in.wait(PATIENCE_S)

    def _on_connect(self, _: Any, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        if not reason.is_failure:
            self.let_in.set()

    def subscribe(self, *filters: str) -> None:
        self.subscribed.clear()
        self.client.subscribe([(one, mqtt.SubscribeOptions(qos=1)) for one in filters])
        assert self.subscribed.wait(PATIENCE_S)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE_S)

    def next(self) -> tuple[str, bytes]:
        return self.heard.get(timeout=PATIENCE_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def stranger(login: Broker, name: str = "stranger") -> Iterator[Stranger]:
    one = Stranger(login, name)
    try:
        yield one
    finally:
        one.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that nothing tells of."""
    pause, deadline_s = threading.Event(), time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline_s:
            raise TimeoutError("it did not come to that")
        pause.wait(POLL_S)
