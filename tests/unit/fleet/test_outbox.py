# SPDX-License-Identifier: Apache-2.0
"""An outbox on a real file: what is put waits, what is acknowledged is gone, losses count."""

from pathlib import Path

import pytest

from insight_edge.documents.codec import MAX_PAYLOAD_BYTES, digest
from insight_edge.documents.topics import Kind
from insight_edge.errors import LimitExceededError
from insight_edge.fleet.link.outbox import Held, Message, Outbox
from insight_edge.fleet.link.queueing import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    OVERHEAD_BYTES,
)

NOW_S = 1_000.0
DECADE_S = 315_360_000.0


def outbox_in(folder: Path, *, max_bytes: int = 1_000_000) -> Outbox:
    return Outbox(folder / "agent.sqlite", max_bytes=max_bytes, share=lambda: 1.0)


def room_for(messages: int, length_bytes: int) -> int:
    return messages * (length_bytes + OVERHEAD_BYTES)


def test_message_waits_under_its_digest_over_a_restart(tmp_path: Path) -> None:
    outbox = outbox_in(tmp_path)
    name = outbox.put(Kind.REPORT, b"window")
    outbox.close()
    outbox = outbox_in(tmp_path)
    assert name == digest(b"window")
    assert outbox.due(9, NOW_S) == [Message(name, Kind.REPORT, b"window")]
    assert outbox.waiting == {Kind.REPORT: Held(1, 6)}
    outbox.close()


def test_same_bytes_are_kept_once(tmp_path: Path) -> None:
    outbox = outbox_in(tmp_path)
    assert outbox.put(Kind.REPORT, b"x") == outbox.put(Kind.REPORT, b"x")
    assert outbox.waiting == {Kind.REPORT: Held(1, 1)}
    outbox.close()


def test_acknowledged_is_gone_and_strange_acks_do_nothing(tmp_path: Path) -> None:
    outbox = outbox_in(tmp_path)
    first, second = outbox.put(Kind.REPORT, b"1"), outbox.put(Kind.OUTCOME, b"2")
    strange = ["", "sha256:", "sha256:zz", "md5:00", digest(b"never"), "\udc80", "sha256:é"]
    assert outbox.acknowledge(strange) == 0
    assert outbox.acknowledge([]) == 0
    assert outbox.acknowledge([first, first, *strange]) == 1
    assert outbox.acknowledge([first]) == 0
    assert [message.digest for message in outbox.due(9, NOW_S)] == [second]
    outbox.close()


def test_acknowledged_may_be_put_again(tmp_path: Path) -> None:
    outbox = outbox_in(tmp_path)
    outbox.acknowledge([outbox.put(Kind.REPORT, b"x")])
    outbox.put(Kind.REPORT, b"x")
    assert len(outbox.due(9, NOW_S)) == 1
    outbox.close()


def test_sent_is_due_again_after_growing_pauses(tmp_path: Path) -> None:
    outbox = outbox_in(tmp_path)
    name = outbox.put(Kind.REPORT, b"x")
    now_s = NOW_S
    for pause_s in (FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S):
        outbox.sent([name, digest(b"unknown")], now_s)
        assert outbox.due(9, now_s + pause_s - 1.0) == []
        now_s += pause_s
        assert len(outbox.due(9, now_s)) == 1
    outbox.close()


@pytest.mark.parametrize("jump_s", [-DECADE_S, DECADE_S, -LONGEST_PAUSE_S - 1.0])
def test_clock_that_jumps_holds_nothing_back(tmp_path: Path, jump_s: float) -> None:
    outbox = outbox_in(tmp_path)
    outbox.sent([outbox.put(Kind.REPORT, b"x")], NOW_S + DECADE_S)
    assert len(outbox.due(9, NOW_S + DECADE_S + jump_s)) == 1
    outbox.close()


def test_what_is_under_way_is_not_due(tmp_path: Path) -> None:
    outbox = outbox_in(tmp_path)
    names = [outbox.put(Kind.REPORT, bytes([n])) for n in range(5)]
    due = outbox.due(2, NOW_S, besides=names[:3])
    assert [message.digest for message in due] == names[3:]
    outbox.close()


def test_flood_of_predictions_does_not_starve_reports(tmp_path: Path) -> None:
    outbox = outbox_in(tmp_path)
    for n in range(200):
        outbox.put(Kind.PREDICTION, f"p{n}".encode())
    reports = [outbox.put(Kind.REPORT, f"r{n}".encode()) for n in range(3)]
    assert set(reports) < {message.digest for message in outbox.due(6, NOW_S)}
    one_by_one = {outbox.due(1, NOW_S)[0].kind for _ in range(2)}
    assert one_by_one == {Kind.REPORT, Kind.PREDICTION}
    outbox.close()


def test_full_outbox_gives_up_predictions_then_samples_then_oldest_reports(tmp_path: Path) -> None:
    outbox = outbox_in(tmp_path, max_bytes=room_for(4, 1000))
    for kind in (Kind.REPORT, Kind.SAMPLE, Kind.PREDICTION, Kind.REPORT):
        outbox.put(kind, kind.value.encode().ljust(999) + str(len(outbox.waiting)).encode())
    for n in range(4):
        outbox.put(Kind.REPORT, bytes([n]) * 1000)
        assert outbox.waiting[Kind.REPORT].messages == min(3 + n, 4)
    assert outbox.lost == {"prediction": 1, "sample": 1, "report": 2}
    due = outbox.due(9, NOW_S)
    assert [message.payload for message in due] == [bytes([n]) * 1000 for n in range(4)]
    outbox.close()


def test_full_outbox_gives_up_a_prediction_rather_than_reports(tmp_path: Path) -> None:
    outbox = outbox_in(tmp_path, max_bytes=room_for(1, 1000))
    outbox.put(Kind.REPORT, b"r" * 1000)
    outbox.put(Kind.PREDICTION, b"p")
    assert outbox.waiting == {Kind.REPORT: Held(1, 1000)}
    assert outbox.lost == {"prediction": 1}
    outbox.close()


def test_message_longer_than_the_whole_room_drives_out_nothing(tmp_path: Path) -> None:
    outbox = outbox_in(tmp_path, max_bytes=room_for(1, 1000))
    outbox.put(Kind.PREDICTION, b"p")
    outbox.put(Kind.REPORT, b"r" * 1001)
    assert outbox.waiting == {Kind.PREDICTION: Held(1, 1)}
    assert outbox.lost == {"report": 1}
    outbox.close()


def test_losses_are_counted_over_a_restart(tmp_path: Path) -> None:
    for n in range(3):
        outbox = outbox_in(tmp_path, max_bytes=room_for(1, 10))
        outbox.put(Kind.REPORT, bytes([n]) * 10)
        outbox.close()
    outbox = outbox_in(tmp_path)
    assert outbox.lost == {"report": 2}
    outbox.close()


def test_file_stays_within_half_as_much_again(tmp_path: Path) -> None:
    max_bytes = 2_000_000
    outbox = outbox_in(tmp_path, max_bytes=max_bytes)
    for n in range(2_000):
        outbox.put(Kind.REPORT, n.to_bytes(2) * 1350)
    outbox.close()
    assert (tmp_path / "agent.sqlite").stat().st_size <= 1.5 * max_bytes
    assert not (tmp_path / "agent.sqlite-wal").exists()


def test_payload_that_no_broker_takes_is_refused(tmp_path: Path) -> None:
    outbox = outbox_in(tmp_path, max_bytes=9_000_000)
    outbox.put(Kind.REPORT, bytes(MAX_PAYLOAD_BYTES))
    with pytest.raises(LimitExceededError, match="bytes, at most"):
        outbox.put(Kind.REPORT, bytes(MAX_PAYLOAD_BYTES + 1))
    assert outbox.waiting[Kind.REPORT].messages == 1
    outbox.close()


@pytest.mark.parametrize("kind", [Kind.BIRTH, Kind.REPORTED, Kind.DEATH, Kind.ACK, Kind.DESIRED])
def test_what_is_not_kept_is_a_mistake_of_the_caller(tmp_path: Path, kind: Kind) -> None:
    outbox = outbox_in(tmp_path)
    with pytest.raises(ValueError, match="is not kept"):
        outbox.put(kind, b"x")
    outbox.close()


def test_what_was_lost_elsewhere_is_counted_once_however_often_it_is_told(tmp_path: Path) -> None:
    outbox = outbox_in(tmp_path, max_bytes=room_for(1, 10))
    outbox.put(Kind.OUTCOME, bytes(10))
    outbox.put(Kind.OUTCOME, bytes([1]) * 10)
    for messages in (2, 5, 5, 3):
        outbox.lost_before(Kind.OUTCOME, "camera-1/7", messages)
    outbox.lost_before(Kind.OUTCOME, "camera-1/8", 1)
    assert outbox.lost == {"outcome": 1 + 5 + 1}
    outbox.close()
    assert outbox_in(tmp_path).lost == {"outcome": 7}
