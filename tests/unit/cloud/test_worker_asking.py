# SPDX-License-Identifier: Apache-2.0
"""Devices are asked once for what is wanted of them, each for its own, and again after a while."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from insight_cloud.devices.service import Devices
from insight_cloud.platform.database import Database
from insight_cloud.platform.presigned import Presigner
from insight_cloud.platform.publisher import Outgoing
from insight_cloud.telemetry.samples import SampleState
from insight_cloud.telemetry.service import Telemetry
from insight_cloud.worker.asking import AGAIN, AT_ONCE, PATIENCE, Asking
from insight_edge.documents.codec import decode_wire, digest
from insight_edge.documents.delivery import Ack
from insight_edge.errors import LinkError
from tests.fakes.fleet_devices import birth, enrol, told
from tests.fakes.telemetry import BUNDLE, NOW, SAMPLE, find_bundle, message, offer


class Post:
    """Keeps what is published; `broken` takes nothing."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, str]]] = []
        self.broken = False

    def publish_all(self, messages: Iterable[Outgoing]) -> None:
        if self.broken:
            raise LinkError("no broker")
        for one in messages:
            self.sent.append((one.topic.device, decode_wire(Ack, one.payload).uploads))

    def take(self) -> list[tuple[str, list[str]]]:
        sent, self.sent = self.sent, []
        return [(device, sorted(uploads)) for device, uploads in sent]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def telemetry(database: Database, tmp_path: Path) -> Telemetry:
    return Telemetry(database, find_bundle, tmp_path / "log")


def fleet(database: Database, *names: str) -> Devices:
    devices = Devices(database)
    for name in names:
        enrol(devices, name)
        devices.hear(told(birth(device=name), device=name), NOW)
    return devices


def offered(telemetry: Telemetry, device: str, *digests: str) -> None:
    offers = [offer(name, device=device, id=f"{device}/default/1/7") for name in digests]
    telemetry.ingest([message(each) for each in offers], NOW)
    telemetry.ask_samples(BUNDLE, most=100, each=100, now=NOW)


def test_two_devices_with_the_same_input_are_both_asked(
    database: Database, telemetry: Telemetry, tmp_path: Path
) -> None:
    devices = fleet(database, "camera-1", "camera-2")
    post, clock = Post(), Clock()
    asking = Asking(devices, telemetry, post, Presigner(tmp_path / "s"), "http://a", clock)
    offered(telemetry, "camera-1", SAMPLE)
    asking.run()
    offered(telemetry, "camera-2", SAMPLE)
    asking.run()
    asking.run()
    [(first, one), (second, other)] = post.sent
    assert (first, second) == ("camera-1", "camera-2")
    assert one.keys() == other.keys() == {SAMPLE}
    assert "device=camera-2" in other[SAMPLE]


def test_one_that_did_not_upload_is_asked_again_and_one_that_did_is_not(
    database: Database, telemetry: Telemetry, tmp_path: Path
) -> None:
    devices = fleet(database, "camera-1")
    post, clock = Post(), Clock()
    asking = Asking(devices, telemetry, post, Presigner(tmp_path / "s"), "http://a", clock)
    offered(telemetry, "camera-1", SAMPLE)
    post.broken = True
    with pytest.raises(LinkError):
        asking.run()
    post.broken = False
    asking.run()
    assert post.take() == [("camera-1", [SAMPLE])]
    clock.now += AGAIN - timedelta(seconds=1)
    asking.run()
    assert post.take() == []
    clock.now += timedelta(seconds=1)
    asking.run()
    assert post.take() == [("camera-1", [SAMPLE])]
    telemetry.move_sample("camera-1", SAMPLE, SampleState.UPLOADED, NOW)
    clock.now += AGAIN
    asking.run()
    assert post.take() == []


def test_so_many_are_under_way_at_once_and_others_follow_those_that_arrived(
    database: Database, telemetry: Telemetry, tmp_path: Path
) -> None:
    devices = fleet(database, "camera-1")
    post = Post()
    asking = Asking(devices, telemetry, post, Presigner(tmp_path / "s"), "http://a", Clock())
    names = {digest(str(number).encode()) for number in range(AT_ONCE + 5)}
    offered(telemetry, "camera-1", *names)
    asking.run()
    asking.run()
    [(_, first)] = post.take()
    assert len(first) == AT_ONCE
    for name in first[:3]:
        telemetry.move_sample("camera-1", name, SampleState.UPLOADED, NOW)
    asking.run()
    [(_, second)] = post.take()
    assert len(second) == 3
    for name in first[3:]:
        telemetry.move_sample("camera-1", name, SampleState.UPLOADED, NOW)
    asking.run()
    [(_, third)] = post.take()
    assert {*first, *second, *third} == names


def test_what_does_not_arrive_holds_nothing_up(
    database: Database, telemetry: Telemetry, tmp_path: Path
) -> None:
    devices = fleet(database, "camera-1")
    post, clock = Post(), Clock()
    asking = Asking(devices, telemetry, post, Presigner(tmp_path / "s"), "http://a", clock)
    names = {digest(str(number).encode()) for number in range(AT_ONCE + 5)}
    offered(telemetry, "camera-1", *names)
    asking.run()
    [(_, first)] = post.take()
    clock.now += PATIENCE
    asking.run()
    assert post.take() == [("camera-1", sorted(names.difference(first)))]


def test_one_that_is_not_there_is_not_asked(
    database: Database, telemetry: Telemetry, tmp_path: Path
) -> None:
    devices = fleet(database, "camera-1")
    enrol(devices, "camera-2")
    post = Post()
    asking = Asking(devices, telemetry, post, Presigner(tmp_path / "s"), "http://a", Clock())
    offered(telemetry, "camera-1", SAMPLE)
    offered(telemetry, "camera-2", SAMPLE)
    asking.run()
    assert post.take() == [("camera-1", [SAMPLE])]
