# SPDX-License-Identifier: Apache-2.0
"""What a stock MQTT client sees of a running fleet is what docs/formats/fleet.md says, and no more.

The client knows nothing of this project: `mosquitto_sub` where it is installed, and plain paho.
"""

import importlib
import json
import pkgutil
import re
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
import zstandard
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from insight_cloud.platform.broker_access import Access, Login
from insight_edge import documents
from insight_edge.bundle.slots import Slots
from insight_edge.documents.codec import Document, decode_wire
from insight_edge.documents.desired import Envelope
from insight_edge.fleet.identity import identity_of
from insight_edge.runtime.infer import Runtime
from tests.fakes.fleet_world import DEVICE, Fleet, small_fleet
from tests.fakes.matrix import install, one_row

pytestmark = pytest.mark.slow

FORMAT = Path(__file__).parents[2] / "docs" / "formats" / "fleet.md"
ROW = re.compile(r"^\| `([a-z/]+)` \| (device|broker|cloud) \| ([^|]*)\| ([^|]*)\|$", re.MULTILINE)
RESERVED = {"job", "job/result"}


@dataclass
class Heard:
    """Payloads by topic, those that the broker had kept apart."""

    live: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    kept: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, topic: str, retained: bool, payload: bytes) -> None:
        """Keep a message once, however many logins were allowed to hear it."""
        with self.lock:
            heard = (self.kept if retained else self.live)[topic]
            if payload not in heard:
                heard.append(payload)


@contextmanager
def paho(port: int, login: Login, heard: Heard) -> Iterator[None]:
    subscribed = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set(login.username, login.password)
    client.on_message = lambda _, __, one: heard.add(one.topic, one.retain, bytes(one.payload))
    client.on_connect = lambda one, *_: one.subscribe("#", qos=1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        assert subscribed.wait(10)
        yield
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def mosquitto_sub(port: int, login: Login, heard: Heard) -> Iterator[None]:
    command = ["stdbuf", "-oL"]  # what it says waits for a message where stdout is a pipe
    command += ["mosquitto_sub", "-V", "5", "-h", "127.0.0.1", "-p", str(port), "-d"]
    command += ["-u", login.username, "-P", login.password, "-q", "1", "-t", "#", "-F", "%r %t %x"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        out = client.stdout
        while "SUBACK" not in (line := out.readline()):
            assert line, "mosquitto_sub ended"

        def listen() -> None:
            for line in out:
                if re.match(r"[01] \S+ [0-9a-f]*$", line):
                    retained, topic, payload = line.split(" ")
                    heard.add(topic, retained == "1", bytes.fromhex(payload))

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            yield
        finally:
            client.terminate()
            listener.join()


INSTALLED = shutil.which("mosquitto_sub") is not None
with_mosquitto_sub = pytest.mark.skipif(not INSTALLED, reason="mosquitto_sub is not installed")


def rows() -> dict[str, tuple[str, str, str]]:
    """Return who sends, which document, and what is added, by the kind of topic."""
    return {kind: (who, said, more) for kind, who, said, more in ROW.findall(FORMAT.read_text())}


def known_documents() -> dict[str, type[Document]]:
    found: dict[str, type[Document]] = {}
    for module in pkgutil.iter_modules(documents.__path__):
        for one in vars(importlib.import_module(f"{documents.__name__}.{module.name}")).values():
            if isinstance(one, type) and issubclass(one, Document):
                found[one.__name__] = one
    return found


def topic(kind: str) -> str:
    return f"ie/v1/default/{DEVICE}/{kind}"


def live_through_everything(fleet: Fleet, heard: list[Heard]) -> None:
    """Install, answer, tell an outcome, and go."""
    fleet.want(fleet.publish(1))
    fleet.until(lambda: Slots(fleet.place).committed is not None)
    wanted = {topic(kind) for kind in rows().keys() - RESERVED - {"death"}}
    with Runtime.attach(fleet.place) as runtime:
        for n in range(200):
            runtime.infer(one_row(), key=f"order-{n}")
        runtime.outcome("cat", key="order-7")
        fleet.until(lambda: all(wanted <= one.live.keys() for one in heard))
    fleet.stop_agent()
    fleet.until(lambda: all(topic("death") in one.live for one in heard))


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Heard]:
    """Return what each client heard of one device, live and, when it came late, as retained.

    A broker that keeps topics apart lets the cloud hear what devices say, and each device
    what it is told: a client listens under both logins.
    """
    clients = [one for one in (paho, mosquitto_sub) if one is paho or INSTALLED]
    with ExitStack() as stack:
        install(stack.enter_context(pytest.MonkeyPatch.context()))
        fleet = stack.enter_context(small_fleet(tmp_path_factory.mktemp("wire")))
        broker = identity_of(fleet.state).broker
        logins = [Access(fleet.folder / "cloud" / "broker").cloud]
        logins.append(Login(broker.username or "", broker.password or ""))
        heard = [Heard() for _ in clients]

        def listening() -> ExitStack:
            ears = ExitStack()
            for client, one in zip(clients, heard, strict=True):
                for login in logins:
                    ears.enter_context(client(broker.port, login, one))
            return ears

        with listening():
            live_through_everything(fleet, heard)
        for one in heard:
            one.kept.clear()
        kept = {topic(kind) for kind, row in rows().items() if row[2].strip() == "retained"}
        with listening():
            fleet.until(lambda: all(kept <= one.kept.keys() for one in heard))
        return {client.__name__: one for client, one in zip(clients, heard, strict=True)}


@pytest.fixture(params=["paho", pytest.param("mosquitto_sub", marks=with_mosquitto_sub)])
def heard(request: pytest.FixtureRequest, wire: dict[str, Heard]) -> Heard:
    return wire[request.param]


def test_topics_are_those_of_the_format(heard: Heard) -> None:
    assert set(heard.live) == {topic(kind) for kind in rows().keys() - RESERVED}


def test_every_payload_is_the_document_of_its_topic_in_one_zstd_frame(heard: Heard) -> None:
    known = known_documents()
    for kind, (_, said, _) in rows().items():
        for payload in heard.live.get(topic(kind), ()):
            unpacked = zstandard.ZstdDecompressor().decompress(payload, max_output_size=2**20)
            assert isinstance(msgspec.msgpack.decode(unpacked), dict)
            decode_wire(known[re.findall(r"`(\w+)`", said)[0]], payload)


def test_only_what_is_said_to_be_retained_is(heard: Heard) -> None:
    retained = {topic(kind) for kind, row in rows().items() if row[2].strip() == "retained"}
    assert set(heard.kept) == retained
    [payload] = heard.kept[topic("desired")]
    assert json.loads(decode_wire(Envelope, payload).payload)["device"] == DEVICE
