# SPDX-License-Identifier: Apache-2.0
"""Packets of MQTT 5 as bytes: the message of a PUBLISH, and acknowledgements. Pure.

An ingester reads and acknowledges so many that the client library, which makes
objects of what nobody asks for, would be most of its work. Everything else is the
library's (`mqtt`).
"""

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

PUBACK: Final = 0x40
_PUBLISH: Final = 3
"""The upper half of a packet's first byte."""

_ACKNOWLEDGED: Final = struct.Struct("!BBH")
_NUMBER: Final = struct.Struct("!H")
_MAX_LENGTH_BYTES: Final = 4
"""Of a variable byte integer."""


class Published(NamedTuple):
    """A message.

    Attributes:
        receipt: to be given back; 0 where none is wanted.
    """

    receipt: int
    topic: bytes
    payload: bytes


def publish_at(packets: memoryview) -> tuple[int, int]:
    """Return begin and end of the body of the PUBLISH that packets begin with.

    Both are 0 where they begin with another packet, or do not hold all of it yet.
    """
    if len(packets) < 2 or packets[0] >> 4 != _PUBLISH:
        return 0, 0
    try:
        length, begin = _length(packets, 1)
    except ValueError:
        return 0, 0
    end = begin + length
    return (begin, end) if end <= len(packets) else (0, 0)


def parse_publish(head: int, body: bytes | bytearray | memoryview) -> Published:
    """Return the message of a PUBLISH packet; its properties are passed over.

    Args:
        head: first byte of the packet.
        body: what follows the length.

    Raises:
        ValueError: it is none, or one of a quality of service that nobody asked for.
    """
    quality = head >> 1 & 3
    if quality > 1:
        raise ValueError(f"a message of quality {quality}")
    receipt, end = 0, 2 + _number(body, 0)
    topic = bytes(body[2:end])
    if quality:
        receipt, end = _number(body, end), end + 2
    length, begin = _length(body, end)
    if begin + length > len(body):
        raise ValueError("a message that ends before its payload")
    return Published(receipt, topic, bytes(body[begin + length :]))


def acknowledgements(receipts: Iterable[int]) -> bytes:
    """Return the packets that give receipts back, in this order."""
    return b"".join(_ACKNOWLEDGED.pack(PUBACK, 2, receipt) for receipt in receipts)


def _number(body: bytes | bytearray | memoryview, begin: int) -> int:
    if begin + 2 > len(body):
        raise ValueError("a message that ends before its topic does")
    found: int = _NUMBER.unpack_from(body, begin)[0]
    return found


def _length(body: bytes | bytearray | memoryview, begin: int) -> tuple[int, int]:
    """Return a variable byte integer, and where it ends."""
    length = 0
    for place, byte in enumerate(body[begin : begin + _MAX_LENGTH_BYTES]):
        length |= (byte & 127) << 7 * place
        if byte < 128:
            return length, begin + place + 1
    raise ValueError("a message whose properties have no length")
