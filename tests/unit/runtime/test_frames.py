# SPDX-License-Identifier: Apache-2.0
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.frames import (
    PREFIX_BYTES,
    frame_from_message,
    length_from_prefix,
    message_from_payload,
)
from insight_edge.documents.host import (
    MAX_FRAME_BYTES,
    Activate,
    Activated,
    AnyMessage,
    AskHealth,
    Hello,
    Refused,
    Retire,
    SwapRecord,
    TakePredictions,
    TakeWindow,
)
from insight_edge.errors import DocumentError, LimitExceededError

RECORD = SwapRecord(
    origin=None, target="t", stage_ms=1, verify_ms=1, warm_ms=1,
    flip_ms=1, drain_ms=1, retire_ms=1, in_flight=0,
)  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [
        Hello(pid=3),
        Activate(slot="a"),
        Activated(slot="a", record=RECORD),
        Refused(phase="stage", kind="X", reason="y"),
        AskHealth(),
        TakeWindow(),
        TakePredictions(limit=4),
        Retire(),
    ],
)
def test_frame_gives_its_message_back(message: AnyMessage) -> None:
    frame = frame_from_message(message)
    assert length_from_prefix(frame[:PREFIX_BYTES]) == len(frame) - PREFIX_BYTES
    assert message_from_payload(frame[PREFIX_BYTES:]) == message


@given(st.binary(max_size=200))
def test_payload_of_any_bytes_is_a_message_or_a_document_error(payload: bytes) -> None:
    try:
        message_from_payload(payload)
    except DocumentError:
        return


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"type": 3},
        {"type": "no such"},
        {"type": "activate"},
        {"type": "activate", "slot": 1},
        [],
    ],
)
def test_payload_without_a_meaning_is_refused(plain: object) -> None:
    with pytest.raises(DocumentError):
        message_from_payload(msgspec.msgpack.encode(plain))


def test_lengths_beyond_the_limit_are_refused() -> None:
    with pytest.raises(LimitExceededError):
        length_from_prefix(struct.pack(">I", MAX_FRAME_BYTES + 1))
    with pytest.raises(LimitExceededError):
        frame_from_message(Refused(phase="p", kind="k", reason="x" * MAX_FRAME_BYTES))
