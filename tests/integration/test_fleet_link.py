# SPDX-License-Identifier: Apache-2.0
"""A device's link and a real broker: what is carried, what is refused, what is left behind."""

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_cloud.platform.broker import EmbeddedBroker
from insight_edge.documents.codec import MAX_PAYLOAD_BYTES, decode_wire, digest
from insight_edge.documents.device import Death
from insight_edge.documents.enrolment import Broker
from insight_edge.documents.topics import DOWN, Kind
from insight_edge.errors import ConfigurationError, LimitExceededError
from insight_edge.fleet.link.connection import MAX_IN_FLIGHT
from insight_edge.fleet.link.events import Connected, Disconnected, Published, Received
from insight_edge.fleet.link.link import Link
from tests.fakes.broker import (
    SWIFT,
    Heard,
    Stranger,
    cloud_login,
    identity,
    identity_of,
    kill,
    linked,
    running_broker,
    stranger,
    until,
)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with running_broker(tmp_path_factory.mktemp("link")) as running:
        yield running


@pytest.fixture
def cloud(broker: EmbeddedBroker) -> Iterator[Stranger]:
    with stranger(cloud_login(broker)) as one:
        yield one


def test_what_a_device_publishes_arrives_and_is_confirmed(
    broker: EmbeddedBroker, cloud: Stranger
) -> None:
    cloud.subscribe("ie/v1/+/press-1/report")
    with linked(broker, "press-1") as (link, heard):
        heard.next(Connected)
        assert link.room == MAX_IN_FLIGHT
        assert link.publish(Kind.REPORT, b"window")
        assert cloud.next() == ("ie/v1/default/press-1/report", b"window")
        assert heard.next(Published).digest == digest(b"window")
        assert link.in_flight == frozenset()


def test_what_the_cloud_says_arrives_and_nothing_that_is_said_to_others(
    broker: EmbeddedBroker, cloud: Stranger
) -> None:
    with linked(broker, "press-2") as (_, heard):
        heard.next(Connected)
        for kind in DOWN:
            cloud.publish(f"ie/v1/default/press-22/{kind.value}", b"for another")
            cloud.publish(f"ie/v1/default/press-2/{kind.value}", b"for you")
        received = [heard.next(Received) for _ in DOWN]
    assert {event.kind for event in received} == DOWN
    assert {event.payload for event in received} == {b"for you"}


def test_what_the_cloud_said_meanwhile_arrives_when_the_device_is_back(
    broker: EmbeddedBroker, cloud: Stranger
) -> None:
    cloud.publish("ie/v1/default/press-3/desired", b"old", retain=True)
    with linked(broker, "press-3") as (_, heard):
        assert heard.next(Received).payload == b"old"
    cloud.publish("ie/v1/default/press-3/ack", b"ack")
    cloud.publish("ie/v1/default/press-3/desired", b"new", retain=True)
    with linked(broker, "press-3") as (_, heard):
        assert {heard.next(Received).payload for _ in range(2)} == {b"ack", b"new"}


def test_too_long_and_foreign_messages_are_dropped_and_counted(
    broker: EmbeddedBroker, cloud: Stranger
) -> None:
    with linked(broker, "press-4") as (link, heard):
        heard.next(Connected)
        cloud.publish("ie/v1/default/press-4/ack", bytes(MAX_PAYLOAD_BYTES + 1))
        cloud.publish("ie/v1/default/press-4/ack", bytes(MAX_PAYLOAD_BYTES))
        assert len(heard.next(Received).payload) == MAX_PAYLOAD_BYTES
        assert link.dropped == 1
        with pytest.raises(LimitExceededError):
            link.publish(Kind.REPORT, bytes(MAX_PAYLOAD_BYTES + 1))
        assert link.publish(Kind.REPORT, bytes(MAX_PAYLOAD_BYTES))
        heard.next(Published)


def test_nothing_is_taken_without_a_connection_and_it_is_made_when_a_broker_comes(
    tmp_path: Path,
) -> None:
    broker = EmbeddedBroker(tmp_path / "broker", program="iotcore")
    with linked(broker, "press-6") as (link, heard):
        assert "refused" in heard.next(Disconnected).reason
        assert not link.publish(Kind.REPORT, b"x")
        assert link.room == 0
        for _ in range(2):
            with broker:
                heard.next(Connected)
                assert link.publish(Kind.REPORT, b"x")
                heard.next(Published)
                kill(broker)
            heard.next(Disconnected)
            assert not link.publish(Kind.REPORT, b"y")


def test_wrong_password_is_a_reason_and_no_connection(broker: EmbeddedBroker) -> None:
    host, port = broker.address
    heard = Heard()
    wrong = identity("press-7", Broker(host=host, port=port, username="device", password="no"))
    link = Link(wrong, heard.tell, pace=SWIFT)
    reasons = [heard.next(Disconnected).reason for _ in range(2)]
    link.close()
    assert all(reasons)
    assert not any(isinstance(event, Connected) for event in heard.now())


def test_every_connection_is_a_session_of_its_own(broker: EmbeddedBroker) -> None:
    with linked(broker, "press-8") as (_, heard):
        first = heard.next(Connected).session
        with linked(broker, "press-8") as (_, other):  # drives the first one out
            second = other.next(Connected).session
            heard.next(Disconnected)
    assert first != second


def test_goodbye_is_said_once_and_no_will_is_told(broker: EmbeddedBroker, cloud: Stranger) -> None:
    cloud.subscribe("ie/v1/default/press-9/death")
    with linked(broker, "press-9") as (_, heard):
        session = heard.next(Connected).session
    topic, payload = cloud.next()
    assert topic == "ie/v1/default/press-9/death"
    assert decode_wire(Death, payload) == Death(device="press-9", session=session, reason="stopped")
    cloud.publish("ie/v1/default/press-9/death", b"last")
    assert cloud.next()[1] == b"last"


def test_closing_leaves_no_thread_and_no_descriptor(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        me = identity_of(broker, "press-10")
        for _ in range(2):  # the first one loads what stays
            gc.collect()  # of other tests; not of this one
            before = (threading.active_count(), len(os.listdir("/proc/self/fd")))  # noqa: PTH208
            heard = Heard()
            link = Link(me, heard.tell, pace=SWIFT)
            heard.next(Connected)
            link.publish(Kind.REPORT, b"x")
            link.close()
            after = (threading.active_count(), len(os.listdir("/proc/self/fd")))  # noqa: PTH208
        assert after == before
        assert isinstance(heard.now()[-1], Disconnected)


def test_a_broker_elsewhere_needs_a_ca(broker: EmbeddedBroker) -> None:
    del broker
    with pytest.raises(ConfigurationError, match="no CA says who it is"):
        Link(identity("d", Broker(host="192.0.2.1", port=1883)), print)
    with pytest.raises(ConfigurationError, match="CA cannot be read"):
        Link(identity("d", Broker(host="192.0.2.1", port=8883, ca="no PEM")), print)


@pytest.mark.parametrize("kind", [Kind.DESIRED, Kind.ACK, Kind.JOB, Kind.DEATH])
def test_what_a_device_never_says_is_a_mistake_of_the_caller(
    broker: EmbeddedBroker, kind: Kind
) -> None:
    with linked(broker, "press-11") as (link, _), pytest.raises(ValueError, match="not published"):
        link.publish(kind, b"x")


def test_last_word_of_two_hundred_is_heard(broker: EmbeddedBroker, cloud: Stranger) -> None:
    cloud.subscribe("ie/v1/default/press-12/prediction")
    with linked(broker, "press-12") as (link, heard):
        heard.next(Connected)
        for n in range(200):
            until(lambda n=n: link.publish(Kind.PREDICTION, b"%d" % n))  # type: ignore[misc]
        assert [cloud.next()[1] for _ in range(200)] == [b"%d" % n for n in range(200)]
