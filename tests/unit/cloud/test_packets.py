# SPDX-License-Identifier: Apache-2.0
"""Packets against the client library's own reading of them, and damaged ones."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from insight_cloud.platform.packets import (
    Published,
    acknowledgements,
    parse_publish,
    publish_at,
)


class Recording(mqtt.Client):
    """A client that keeps the packets it would send."""

    def __init__(self) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.packets: list[bytes] = []
        self._sock: Any = SimpleNamespace(close=lambda: None)

    def _packet_queue(self, *queued: Any) -> Any:
        self.packets.append(bytes(queued[1]))
        return mqtt.MQTTErrorCode.MQTT_ERR_SUCCESS

    def __del__(self) -> None:
        self._sock = None


def publish(topic: str, payload: bytes, quality: int, number: int, **said: Any) -> bytes:
    """Return a PUBLISH as the library writes it."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, value in said.items():
        setattr(properties, name, value)
    client = Recording()
    client._send_publish(number, topic.encode(), payload, quality, properties=properties)
    return client.packets[0]


def split(packet: bytes) -> tuple[int, bytes]:
    """Return first byte and body."""
    end = 1
    while packet[end] & 128:
        end += 1
    return packet[0], packet[end + 1 :]


SAID = st.fixed_dictionaries(
    {},
    optional={
        "MessageExpiryInterval": st.integers(0, 2**32 - 1),
        "ContentType": st.text(
            st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=200
        ),
        "CorrelationData": st.binary(max_size=300),
    },
)
TOPICS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)


@given(TOPICS, st.binary(max_size=400), st.integers(0, 1), st.integers(1, 65535), SAID)
def test_a_message_is_read_as_the_library_wrote_it(
    topic: str, payload: bytes, quality: int, number: int, said: dict[str, Any]
) -> None:
    head, body = split(publish(topic, payload, quality, number, **said))
    expected = Published(number if quality else 0, topic.encode(), payload)
    assert parse_publish(head, body) == expected
    assert parse_publish(head, bytearray(body)) == expected


@given(st.integers(0, 60))
def test_a_message_that_ends_too_soon_is_refused_or_shorter(length: int) -> None:
    head, body = split(publish("ie/v1/a/b/report", b"", 1, 7, ContentType="text/plain"))
    if length < len(body):
        with pytest.raises(ValueError, match="a message"):
            parse_publish(head, body[:length])


@given(st.integers(0, 255), st.binary(max_size=40))
def test_no_bytes_fail_in_another_way(head: int, body: bytes) -> None:
    try:
        found = parse_publish(head, body)
    except ValueError:
        return
    assert len(found.topic) + len(found.payload) <= len(body)


def taken(packets: bytes) -> tuple[list[Published], bytes]:
    """Return the messages that lie whole before anything else, and what follows."""
    ahead, found = memoryview(packets), []
    while (place := publish_at(ahead)) != (0, 0):
        begin, end = place
        found.append(parse_publish(ahead[0], ahead[begin:end]))
        ahead = ahead[end:]
    return found, bytes(ahead)


@given(
    st.lists(st.tuples(TOPICS, st.binary(max_size=400), st.integers(1, 65535)), max_size=5),
    st.sampled_from([b"", b"\xd0\x00", acknowledgements([7])]),
    st.integers(1, 20),
)
def test_messages_that_lie_one_after_the_other_are_found_whole(
    said: list[tuple[str, bytes, int]], other: bytes, cut: int
) -> None:
    packets = [publish(topic, payload, 1, number) for topic, payload, number in said]
    expected = [Published(number, topic.encode(), payload) for topic, payload, number in said]
    assert taken(b"".join(packets) + other) == (expected, other)
    if packets and cut < len(packets[-1]):
        whole, rest = taken(b"".join(packets)[:-cut])
        assert (whole, rest) == (expected[:-1], packets[-1][:-cut])


def test_a_length_without_an_end_is_left_to_the_library() -> None:
    assert publish_at(memoryview(b"\x32" + b"\xff" * 8)) == (0, 0)


@given(st.lists(st.integers(1, 65535), max_size=20))
def test_acknowledgements_are_those_that_the_library_writes(receipts: list[int]) -> None:
    client = Recording()
    for receipt in receipts:
        client._send_puback(receipt)
    assert acknowledgements(receipts) == b"".join(client.packets)
