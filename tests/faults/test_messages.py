# SPDX-License-Identifier: Apache-2.0
"""From outbox to commit and back, while brokers, devices, lines and ingesters fail."""

import queue
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from insight_cloud.platform.broker import EmbeddedBroker
from insight_edge.documents.codec import decode_wire, digest, encode_json, encode_wire
from insight_edge.documents.delivery import Ack
from insight_edge.documents.device import Death
from insight_edge.documents.topics import Kind
from tests.fakes.broker import cloud_login, identity_of, kill, running_broker, stranger, until
from tests.fakes.cutting_proxy import CuttingProxy
from tests.fakes.messages import CountingCloud, Device

ROOT = Path(__file__).parents[2]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with running_broker(tmp_path) as running:
        yield running


@pytest.fixture
def cloud(broker: EmbeddedBroker) -> Iterator[CountingCloud]:
    with closing(CountingCloud(cloud_login(broker))) as counting:
        until(lambda: counting.connected)
        yield counting


@pytest.fixture
def device(broker: EmbeddedBroker, tmp_path: Path) -> Iterator[Device]:
    with closing(Device(tmp_path / "agent", identity_of(broker, "press-1"))) as sending:
        yield sending


@pytest.fixture
def chance() -> random.Random:
    return random.Random(5)  # noqa: S311 - to be repeated, not secret


def empty(device: Device) -> Callable[[], bool]:
    return lambda: not device.outbox.waiting


def test_what_is_put_is_committed_once_and_forgotten(
    device: Device, cloud: CountingCloud, chance: random.Random
) -> None:
    put = device.put(300, chance)
    device.turn_until(empty(device))
    assert set(cloud.committed) == put
    assert (device.outbox.lost, device.link.dropped) == ({}, 0)


def test_broker_killed_in_mid_stream_loses_nothing(
    broker: EmbeddedBroker, device: Device, cloud: CountingCloud, chance: random.Random
) -> None:
    put: set[str] = set()
    for _ in range(3):
        put |= device.put(120, chance)
        come = len(cloud.committed) + 60
        device.turn_until(lambda come=come: len(cloud.committed) >= come)  # type: ignore[misc]
        kill(broker)
        put |= device.put(20, chance)
        device.turn()
        broker.start()
    device.turn_until(empty(device))
    assert set(cloud.committed) == put


def test_line_that_is_cut_all_the_time_loses_nothing(
    broker: EmbeddedBroker, cloud: CountingCloud, chance: random.Random, tmp_path: Path
) -> None:
    with CuttingProxy(broker.address, longest_s=0.15) as proxy:
        me = identity_of(broker, "press-1")
        me = msgspec.structs.replace(me, broker=msgspec.structs.replace(me.broker, port=proxy.port))
        with closing(Device(tmp_path / "cut", me)) as device:
            put = device.put(300, chance)
            device.turn_until(lambda: proxy.cuts >= 10)
            proxy.healed.set()
            device.turn_until(empty(device))
    assert set(cloud.committed) == put


def test_batches_that_were_committed_and_not_acknowledged_come_again(
    broker: EmbeddedBroker, device: Device, chance: random.Random
) -> None:
    with closing(CountingCloud(cloud_login(broker), careless=3)) as cloud:
        put = device.put(200, chance)
        device.turn_until(empty(device))
        assert set(cloud.committed) == put
        assert max(cloud.committed.values()) > 1


def test_ingester_that_is_replaced_costs_nothing(
    broker: EmbeddedBroker, device: Device, chance: random.Random
) -> None:
    put: set[str] = set()
    committed: set[str] = set()
    for n in range(2):
        with closing(CountingCloud(cloud_login(broker), name=f"ingester-{n}")) as cloud:
            put |= device.put(100, chance)
            device.turn_until(lambda cloud=cloud: len(cloud.committed) >= 50)  # type: ignore[misc]
        committed |= set(cloud.committed)
    with closing(CountingCloud(cloud_login(broker), name="ingester-2")) as cloud:
        device.turn_until(empty(device))
        committed |= set(cloud.committed)
    assert committed == put


def test_acks_that_cannot_be_read_or_name_nothing_free_nothing(
    broker: EmbeddedBroker, device: Device
) -> None:
    odd = [b"", b"rubbish", encode_wire(Ack(received=("", "x", digest(b"other"))))]
    name = device.outbox.put(Kind.REPORT, b"window")
    with stranger(cloud_login(broker)) as other:
        device.turn_until(lambda: bool(device.sessions))
        for payload in odd:
            other.publish("ie/v1/default/press-1/ack", payload)
        other.publish("ie/v1/default/press-1/ack", encode_wire(Ack(received=(name, name))))
        device.turn_until(empty(device))


def start_device(folder: Path, broker: EmbeddedBroker, count: int) -> subprocess.Popen[str]:
    (folder / "identity.json").write_bytes(encode_json(identity_of(broker, "press-2")))
    arguments = [str(folder / "state"), str(folder / "identity.json"), str(count)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.messages", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_killed_device_has_its_will_told_and_loses_nothing(
    broker: EmbeddedBroker, cloud: CountingCloud, tmp_path: Path
) -> None:
    put: set[str] = set()
    with stranger(cloud_login(broker), "watching") as watching:
        watching.subscribe("ie/v1/+/press-2/death")
        for count in (100, 101):
            with start_device(tmp_path, broker, count) as device:
                assert device.stdout is not None
                session = device.stdout.readline().split()[1]
                for _ in range(40):
                    put.add(device.stdout.readline().strip("+\n"))
                device.kill()
                put |= {line.strip("+\n") for line in device.stdout} - {"done"}
            topic, will = watching.next()
            assert topic == "ie/v1/default/press-2/death"
            assert decode_wire(Death, will) == Death(device="press-2", session=session)
        with pytest.raises(queue.Empty):
            watching.heard.get_nowait()
    with start_device(tmp_path, broker, 0) as device:
        assert device.stdout is not None
        assert device.stdout.readline().startswith("session ")
        assert device.stdout.readline() == "done\n"
        device.kill()
    assert put <= set(cloud.committed)
    assert len(set(cloud.committed) - put) <= 2  # killed between the put and the word of it
