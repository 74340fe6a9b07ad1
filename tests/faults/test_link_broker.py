# SPDX-License-Identifier: Apache-2.0
"""Whatever a broker does costs a device one connection, and never memory, the link or its trust."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from insight_edge.documents.enrolment import Broker
from insight_edge.documents.topics import Kind
from insight_edge.fleet.link.connection import MAX_PACKET_BYTES, Pace
from insight_edge.fleet.link.events import Connected, Declined, Disconnected, Published, Received
from insight_edge.fleet.link.link import Link
from tests.fakes.broker import Heard, identity
from tests.fakes.odd_broker import OddBroker, publish
from tests.fakes.raw_server import loopback_certificate

HASTY = Pace(keepalive_s=1, first_pause_s=0.02, longest_pause_s=0.05, answer_s=0.25, goodbye_s=0.2)
OWN = b"ie/v1/default/press-1/ack"


@contextmanager
def link_to(broker: OddBroker, ca: str | None = None) -> Iterator[tuple[Link, Heard]]:
    heard = Heard()
    me = identity("press-1", Broker(host="127.0.0.1", port=broker.port, ca=ca))
    link = Link(me, heard.tell, pace=HASTY)
    try:
        yield link, heard
    finally:
        link.close()


@pytest.mark.parametrize(
    "broker",
    [
        pytest.param(OddBroker(connack=b"", hang_up=True), id="hangs up"),
        pytest.param(OddBroker(connack=b""), id="is silent"),
        pytest.param(OddBroker(suback=None), id="does not confirm subscriptions"),
        pytest.param(OddBroker(connack=b"\x20\x03\x00\x87\x00"), id="is not authorized"),
        pytest.param(OddBroker(suback=b"\x01\x87\x01"), id="refuses a subscription"),
        pytest.param(OddBroker(connack=b"HTTP/1.1 400 Bad Request\r\n\r\n"), id="is a web server"),
        pytest.param(OddBroker(connack=b"\x20\x00"), id="sends no body"),
        pytest.param(OddBroker(connack=b"\x20\xff\xff\xff\xff\xff"), id="sends no length"),
    ],
)
def test_broker_that_does_not_let_a_device_in_is_tried_again(broker: OddBroker) -> None:
    with broker, link_to(broker) as (_, heard):
        reasons = [heard.next(Disconnected).reason for _ in range(2)]
    assert all(reasons)
    assert not any(isinstance(event, Connected) for event in heard.now())


@pytest.mark.parametrize(
    "then",
    [
        pytest.param(b"\x00\x00", id="packet of no kind"),
        pytest.param(b"\x90\x01\x00", id="truncated answer"),
        pytest.param(b"\x40\x02\xff\xff" + b"\x40\x00", id="answer to nothing"),
        pytest.param(b"\x30\x04\x00\x09ab", id="topic beyond the packet"),
        pytest.param(publish(b"\xff\xfe", b"x") + b"\xf0\x00", id="topic that is no text"),
        pytest.param(publish(OWN, b"x", claimed_bytes=200_000_000), id="200 megabytes"),
    ],
)
def test_malformed_packet_costs_the_connection_alone(then: bytes) -> None:
    with OddBroker(then=then, hang_up=True) as broker, link_to(broker) as (_, heard):
        for _ in range(2):
            heard.next(Connected)
            heard.next(Disconnected)


def test_packet_that_claims_too_much_takes_no_memory() -> None:
    giant = publish(OWN, b"x" * 100, claimed_bytes=250_000_000)
    with OddBroker(then=giant) as broker, link_to(broker) as (_, heard):
        heard.next(Connected)
        tracemalloc.start()
        try:
            heard.next(Disconnected)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak_bytes < 2 * MAX_PACKET_BYTES


def test_message_on_another_topic_is_dropped_and_counted() -> None:
    odd = [b"ie/v1/default/press-1/report", b"ie/v1/default/press-2/ack", b"ie/v1/x", b"", b"#"]
    then = b"".join(publish(topic, b"x") for topic in odd) + publish(OWN, b"mine")
    with OddBroker(then=then) as broker, link_to(broker) as (link, heard):
        assert heard.next(Received) == Received(Kind.ACK, b"mine")
        assert link.dropped == len(odd)


def test_broker_that_confirms_nothing_holds_nobody_up() -> None:
    with OddBroker() as broker, link_to(broker) as (link, heard):
        heard.next(Connected)
        assert link.publish(Kind.REPORT, b"x")
        assert link.in_flight
        heard.next(Disconnected)  # no answer to a ping either
        assert not any(isinstance(event, Published) for event in heard.now())
        assert not link.in_flight


def test_window_is_bounded_by_bytes_and_what_is_under_way_is_not_taken_twice() -> None:
    with OddBroker() as broker, link_to(broker) as (link, heard):
        heard.next(Connected)
        taken = [link.publish(Kind.REPORT, bytes([n]) * 500_000) for n in range(20)]
        assert taken == [True] * 8 + [False] * 12
        assert link.publish(Kind.REPORT, bytes([3]) * 500_000)
        assert len(link.in_flight) == 8


def test_message_longer_than_the_broker_takes_is_declined_and_others_are_not() -> None:
    at_most_200 = b"\x20\x08\x00\x00\x05\x27\x00\x00\x00\xc8"
    with OddBroker(connack=at_most_200) as broker, link_to(broker) as (link, heard):
        heard.next(Connected)
        link.publish(Kind.REPORT, bytes(300))
        assert "longer" in heard.next(Declined).reason
        assert not link.in_flight


def test_window_is_no_wider_than_the_broker_says() -> None:
    at_most_3 = b"\x20\x06\x00\x00\x03\x21\x00\x03"
    with OddBroker(connack=at_most_3) as broker, link_to(broker) as (link, heard):
        heard.next(Connected)
        assert [link.publish(Kind.REPORT, b"%d" % n) for n in range(5)] == [True] * 3 + [False] * 2


def test_broker_is_known_by_its_ca(tmp_path: Path) -> None:
    certificate, tls = loopback_certificate(tmp_path)
    then = publish(OWN, b"x" * 50_000) + publish(OWN, b"y") + publish(OWN, b"z")
    with (
        OddBroker(tls=tls, then=then) as broker,
        link_to(broker, certificate.read_text()) as (_, heard),
    ):
        heard.next(Connected)
        assert len(heard.next(Received).payload) == 50_000
        assert [heard.next(Received).payload for _ in range(2)] == [b"y", b"z"]


def test_broker_of_another_ca_is_not_talked_to(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    _, tls = loopback_certificate(tmp_path)
    other, _ = loopback_certificate(tmp_path / "other")
    with OddBroker(tls=tls) as broker, link_to(broker, other.read_text()) as (_, heard):
        for _ in range(2):
            assert "CERTIFICATE_VERIFY_FAILED" in heard.next(Disconnected).reason
    assert not any(isinstance(event, Connected) for event in heard.now())


def test_broker_without_tls_is_not_talked_to_where_there_should_be(tmp_path: Path) -> None:
    certificate, _ = loopback_certificate(tmp_path)
    with OddBroker() as broker, link_to(broker, certificate.read_text()) as (_, heard):
        assert heard.next(Disconnected).reason
        assert not any(isinstance(event, Connected) for event in heard.now())
