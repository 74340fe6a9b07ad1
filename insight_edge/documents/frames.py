# SPDX-License-Identifier: Apache-2.0
"""Frames of the host protocol: a length, then one message in msgpack.

Both ends share this, so that neither needs the other's room. It turns bytes
into messages and back and refuses what is too long; it reads no socket.
"""

import struct
from typing import get_args

import msgspec

from insight_edge.documents.codec import decode_msgpack, encode_msgpack
from insight_edge.documents.host import MAX_FRAME_BYTES, AnyMessage, Message
from insight_edge.errors import DocumentError, LimitExceededError

PREFIX_BYTES = 4
"""A frame starts with the length of its message, big-endian (rule H1)."""

_KINDS: dict[str, type[Message]] = {
    kind.__struct_config__.tag: kind for kind in get_args(AnyMessage)
}


class _Tag(msgspec.Struct):
    type: str


def frame_from_message(message: Message) -> bytes:
    """Return the frame that carries a message.

    Raises:
        LimitExceededError: the message is longer than `MAX_FRAME_BYTES`.
    """
    payload = encode_msgpack(message)
    _refuse_length(len(payload))
    return struct.pack(">I", len(payload)) + payload


def length_from_prefix(prefix: bytes) -> int:
    """Return how many bytes follow a frame's prefix of `PREFIX_BYTES`.

    Raises:
        LimitExceededError: more than `MAX_FRAME_BYTES`.
    """
    (length_bytes,) = struct.unpack(">I", prefix)
    _refuse_length(length_bytes)
    return int(length_bytes)


def message_from_payload(payload: bytes) -> AnyMessage:
    """Return the message in a frame, without its prefix.

    Raises:
        DocumentError: not msgpack, no known `type`, or a field that is missing or wrong.
    """
    try:
        tag = msgspec.msgpack.decode(payload, type=_Tag).type
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise DocumentError(f"message: {error}") from error
    if tag not in _KINDS:
        raise DocumentError(f"message: no type '{tag[:40]}'")
    return decode_msgpack(_KINDS[tag], payload)  # type: ignore[return-value]  # a member of the union


def _refuse_length(length_bytes: int) -> None:
    if length_bytes > MAX_FRAME_BYTES:
        raise LimitExceededError(
            f"message of {length_bytes} bytes, at most {MAX_FRAME_BYTES} are read"
        )
