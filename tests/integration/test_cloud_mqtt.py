# SPDX-License-Identifier: Apache-2.0
"""The cloud's subscribers and publishers on a real broker."""

import gc
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from insight_cloud.platform.broker import EmbeddedBroker
from insight_cloud.platform.inbox import Batch
from insight_cloud.platform.mqtt import MAX_PAYLOAD_BYTES
from insight_cloud.platform.publisher import Outgoing, Publisher
from insight_cloud.platform.subscriber import Subscriber
from insight_edge.documents.enrolment import Broker
from insight_edge.documents.topics import Kind, Topic
from insight_edge.errors import ConfigurationError, LimitExceededError, LinkError
from tests.fakes.broker import (
    CLOUD_SWIFT,
    Stranger,
    cloud_login,
    kill,
    running_broker,
    stranger,
    until,
)
from tests.fakes.cutting_proxy import CuttingProxy

KINDS = (Kind.REPORT, Kind.PREDICTION, Kind.JOB_RESULT)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with running_broker(tmp_path_factory.mktemp("mqtt")) as running:
        yield running


@pytest.fixture
def device(broker: EmbeddedBroker) -> Iterator[Stranger]:
    with stranger(broker.login_of(broker.access.shared)) as one:
        yield one


def subscriber(broker: EmbeddedBroker, name: str, group: str, **options: Any) -> Subscriber:
    found = Subscriber(
        cloud_login(broker),
        name=name,
        group=group,
        kinds=KINDS,
        pace=CLOUD_SWIFT,
        **options,
    )
    until(lambda: found.connected)
    return found


def publisher(broker: EmbeddedBroker, name: str) -> Publisher:
    return Publisher(cloud_login(broker), name=name, pace=CLOUD_SWIFT)


def topic_of(device: str, kind: Kind = Kind.REPORT) -> Topic:
    return Topic("default", device, kind)


class Member(threading.Thread):
    """A thread that takes batches until its subscriber is closed."""

    def __init__(self, taking: Subscriber) -> None:
        super().__init__()
        self.taking = taking
        self.got: list[tuple[Topic, bytes]] = []
        self.start()

    def run(self) -> None:
        for batch in self.taking.batches(max_rows=20, wait_s=0.01):
            self.got += batch.messages
            batch.acknowledge()

    def close(self) -> None:
        self.taking.close()
        self.join()


def test_members_of_a_group_get_each_message_of_each_kind_once_between_them(
    broker: EmbeddedBroker, device: Stranger
) -> None:
    members = [Member(subscriber(broker, f"share-{n}", "share")) for n in range(2)]
    for n in range(150):
        for kind in KINDS:
            topic = topic_of(f"press-{n % 7}", kind)
            device.client.publish(str(topic), b"%d" % n, qos=1)
    until(lambda: sum(len(member.got) for member in members) >= 450)
    for member in members:
        member.close()
    counts = Counter((topic.kind, payload) for member in members for topic, payload in member.got)
    assert set(counts.values()) == {1}
    assert len(counts) == 450
    assert all(len(member.got) > 100 for member in members)


def test_batches_hold_no_more_than_asked_for_and_end_with_close(
    broker: EmbeddedBroker, device: Stranger
) -> None:
    taking = subscriber(broker, "batches", "batches")
    for n in range(50):
        device.publish("ie/v1/default/press-1/report", b"%d" % n)
    sizes = []
    for batch in taking.batches(max_rows=20, wait_s=0.2):
        sizes.append(len(batch.messages))
        assert batch.messages[0][0] == topic_of("press-1")
        batch.acknowledge()
        if sum(sizes) == 50:
            taking.close()
    assert max(sizes) <= 20


def test_malformed_and_too_long_are_acknowledged_counted_and_left_out(
    broker: EmbeddedBroker, device: Stranger
) -> None:
    with closing(subscriber(broker, "odd", "odd")) as taking:
        batches = taking.batches(max_rows=1, wait_s=0.0)
        for n in range(150):  # more than the broker sends ahead
            device.client.publish(f"ie/v1/default/NO NAME {n}/report", b"x", qos=1)
        device.publish("ie/v1/default/press-1/report", bytes(MAX_PAYLOAD_BYTES + 1))
        device.publish("ie/v1/default/press-1/report", bytes(MAX_PAYLOAD_BYTES))
        ((topic, payload),) = next(batches).messages
        assert (topic, len(payload)) == (topic_of("press-1"), MAX_PAYLOAD_BYTES)
        until(lambda: taking.dropped == 151)


def test_batch_that_is_not_acknowledged_costs_the_connection_and_nothing_after_it(
    broker: EmbeddedBroker, device: Stranger
) -> None:
    with CuttingProxy(broker.address, longest_s=0.0) as proxy:
        proxy.healed.set()
        login = msgspec.structs.replace(cloud_login(broker), port=proxy.port)
        options: dict[str, Any] = {"group": "careless", "kinds": KINDS, "pace": CLOUD_SWIFT}
        options["lines"] = 1  # the proxy serves one at a time
        with closing(Subscriber(login, name="careless", **options)) as taking:
            until(lambda: taking.connected)
            batches = taking.batches(max_rows=1, wait_s=0.0)
            device.publish("ie/v1/default/press-1/report", b"not committed")
            first = next(batches)
            got: list[Batch] = []
            thread = threading.Thread(target=lambda: got.append(next(batches)))
            thread.start()
            until(lambda: proxy.connections == 2 and taking.connected)
            first.acknowledge()  # too late: it was of another connection
            device.publish("ie/v1/default/press-1/report", b"after")
            thread.join()
            assert got[0].messages == ((topic_of("press-1"), b"after"),)
            assert proxy.connections == 2


def test_subscriber_that_is_not_read_from_stops_reading(
    broker: EmbeddedBroker, device: Stranger
) -> None:
    with closing(subscriber(broker, "full", "full", max_bytes=200_000)) as taking:
        for n in range(60):
            device.publish("ie/v1/default/press-1/report", bytes([n]) * 100_000)
        batch = next(taking.batches(max_rows=1000, wait_s=0.1))
        assert sum(len(payload) for _, payload in batch.messages) <= 400_000
        seen = [payload[0] for _, payload in batch.messages]
        batch.acknowledge()
        for batch in taking.batches(max_rows=1000, wait_s=0.01):
            seen += [payload[0] for _, payload in batch.messages]
            batch.acknowledge()
            if len(seen) == 60:
                break
        assert sorted(seen) == list(range(60))


def test_what_is_wanted_in_order_is_and_comes_once(
    broker: EmbeddedBroker, device: Stranger
) -> None:
    options: dict[str, Any] = {"kinds": (Kind.REPORT,), "in_order": (Kind.PREDICTION,)}
    login = cloud_login(broker)
    seen: dict[Kind, list[int]] = {Kind.REPORT: [], Kind.PREDICTION: []}
    taking = Subscriber(login, name="order", group="order", pace=CLOUD_SWIFT, **options)
    with closing(taking):
        until(lambda: taking.connected)
        for n in range(300):
            for kind in seen:
                device.client.publish(str(topic_of("press-1", kind)), b"%d" % n, qos=1)
        for batch in taking.batches(max_rows=50, wait_s=0.01):
            for topic, payload in batch.messages:
                seen[topic.kind].append(int(payload))
            batch.acknowledge()
            if sum(map(len, seen.values())) >= 600:
                break
    assert seen[Kind.PREDICTION] == list(range(300))
    assert sorted(seen[Kind.REPORT]) == list(range(300))


def test_subscriber_finds_a_broker_that_comes_late_and_comes_back(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker", program="iotcore")
    login = cloud_login(broker)
    taking = Subscriber(login, name="late", group="late", kinds=KINDS, pace=CLOUD_SWIFT)
    batches = taking.batches(max_rows=1, wait_s=0.0)
    with closing(taking):
        for _ in range(2):
            with broker:
                until(lambda: taking.connected)
                with stranger(login) as device:
                    device.publish("ie/v1/default/press-1/report", b"x")
                batch = next(batches)
                assert batch.messages == ((topic_of("press-1"), b"x"),)
                batch.acknowledge()
                kill(broker)
            until(lambda: not taking.connected)


def test_published_is_with_the_broker_and_retained_where_asked(
    broker: EmbeddedBroker, device: Stranger
) -> None:
    with closing(publisher(broker, "says")) as saying:
        saying.publish(topic_of("press-5", Kind.DESIRED), b"want", retain=True)
        saying.publish(topic_of("press-5", Kind.ACK), b"not retained")
        device.subscribe("ie/v1/default/press-5/desired", "ie/v1/default/press-5/ack")
        assert device.next() == ("ie/v1/default/press-5/desired", b"want")
        saying.publish(topic_of("press-5", Kind.ACK), b"now")
        assert device.next() == ("ie/v1/default/press-5/ack", b"now")


def test_many_threads_publish_at_once_in_order_each(
    broker: EmbeddedBroker, device: Stranger
) -> None:
    device.subscribe("ie/v1/default/+/ack")
    with closing(publisher(broker, "busy")) as saying:

        def say(n: int) -> None:
            topic = topic_of(f"press-{n}", Kind.ACK)
            saying.publish_all([Outgoing(topic, b"%d" % i) for i in range(150)])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(say, range(4)))
    heard: dict[str, list[bytes]] = {}
    for _ in range(600):
        topic, payload = device.next()
        heard.setdefault(topic, []).append(payload)
    assert list(heard.values()) == [[b"%d" % i for i in range(150)]] * 4


def test_what_no_broker_confirms_is_an_error_in_time_and_not_said_later(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker", program="iotcore")
    topic = topic_of("press-6", Kind.ACK)
    with closing(publisher(broker, "alone")) as saying:
        with pytest.raises(LinkError, match=r"within 0\.2 s"):
            saying.publish(topic, b"too late", timeout_s=0.2)
        with broker, stranger(cloud_login(broker)) as device:
            device.subscribe("ie/v1/#")
            saying.publish(topic, b"in time")
            assert device.next()[1] == b"in time"
            kill(broker)
            until(lambda: not saying.connected)
            waiting = threading.Thread(target=saying.publish, args=(topic, b"after the kill"))
            waiting.start()
            broker.start()
            waiting.join()
            assert not waiting.is_alive()


def test_line_that_is_cut_all_the_time_only_delays_what_is_published(
    broker: EmbeddedBroker, device: Stranger
) -> None:
    device.subscribe("ie/v1/default/press-11/ack")
    payloads = [bytes([n]) * 40_000 for n in range(100)]
    login = cloud_login(broker)
    with CuttingProxy(broker.address, longest_s=0.05) as proxy:
        cut = msgspec.structs.replace(login, port=proxy.port)
        with closing(Publisher(cut, name="cut", pace=CLOUD_SWIFT)) as saying:
            for first in range(0, 100, 20):
                part = payloads[first : first + 20]
                topic = topic_of("press-11", Kind.ACK)
                saying.publish_all([Outgoing(topic, payload) for payload in part])
        assert proxy.cuts
    heard = {device.next()[1] for _ in payloads}
    while len(heard) < len(payloads):
        heard.add(device.next()[1])
    assert heard == set(payloads)


def test_closing_lets_those_go_who_wait(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker", program="iotcore")
    saying = publisher(broker, "closing")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(saying.publish, topic_of("press-7"), b"x", timeout_s=600)
        saying.close()
        with pytest.raises(LinkError):
            waiting.result(timeout=10)


def test_longer_than_a_device_would_take_is_refused_here(broker: EmbeddedBroker) -> None:
    topic = topic_of("press-8", Kind.ACK)
    with closing(publisher(broker, "long")) as saying:
        with pytest.raises(LimitExceededError):
            saying.publish_all([Outgoing(topic, b"x"), Outgoing(topic, bytes(2_000_000))])
        saying.publish(topic, bytes(MAX_PAYLOAD_BYTES))


def test_broker_elsewhere_needs_a_ca() -> None:
    with pytest.raises(ConfigurationError, match="no CA says who it is"):
        Publisher(Broker(host="192.0.2.1", port=1883), name="x")
    with pytest.raises(ConfigurationError, match="CA cannot be read"):
        Publisher(Broker(host="192.0.2.1", port=1883, ca="none"), name="x")


def test_closing_leaves_no_thread_and_no_descriptor(broker: EmbeddedBroker) -> None:
    for _ in range(2):  # the first one loads what stays
        gc.collect()  # of other tests; not of this one
        before = (threading.active_count(), len(os.listdir("/proc/self/fd")))  # noqa: PTH208
        taking, saying = subscriber(broker, "brief", "brief"), publisher(broker, "briefly")
        saying.publish(topic_of("press-9", Kind.ACK), b"x")
        taking.close()
        saying.close()
        after = (threading.active_count(), len(os.listdir("/proc/self/fd")))  # noqa: PTH208
    assert after == before
