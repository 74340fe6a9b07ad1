# SPDX-License-Identifier: Apache-2.0
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from insight_cloud.devices.device import Heard
from insight_cloud.devices.rules import REORDER_S, supersedes
from insight_cloud.devices.service import Devices
from insight_cloud.devices.tables import EventRow
from insight_cloud.devices.timeline import MAX_EVENTS, EventKind, news
from insight_cloud.platform.database import Database
from insight_edge.documents.codec import Versioned, encode_wire
from insight_edge.documents.device import DeploymentState, Refusal
from insight_edge.documents.host import SwapRecord
from insight_edge.documents.topics import Kind, Topic
from tests.fakes.fleet_devices import BUNDLE, NOW, OTHER, birth, death, enrol, state, told

YEARS_S = 10 * 365 * 86_400.0
SWAP = SwapRecord(
    origin=OTHER,
    target=BUNDLE,
    stage_ms=1.0,
    verify_ms=1.0,
    warm_ms=1.0,
    flip_ms=0.01,
    drain_ms=1.0,
    retire_ms=1.0,
    in_flight=0,
)


@pytest.fixture
def devices(database: Database) -> Devices:
    devices = Devices(database)
    enrol(devices)
    return devices


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def hear(devices: Devices, *documents: Versioned, at: datetime = NOW) -> list[Heard]:
    return list(devices.hear(told(*documents), at))


def online(devices: Devices) -> bool:
    return devices.device("camera-1").online


def kinds(devices: Devices) -> list[EventKind]:
    return [event.news.kind for event in reversed(devices.timeline("camera-1"))][1:]


def test_a_device_is_online_from_birth_to_death(devices: Devices) -> None:
    assert not online(devices)
    hear(devices, birth(at_s=NOW.timestamp() + 100), at=later(10))
    found = devices.device("camera-1")
    assert (found.online, found.born, found.last_seen) == (True, later(10), later(10))
    assert found.ahead_s == pytest.approx(90)
    assert found.agent == "0.1.0"
    hear(devices, death(), at=later(20))
    assert not online(devices)
    assert devices.device("camera-1").last_seen == later(20)
    assert kinds(devices) == [EventKind.BORN, EventKind.DIED]


def test_the_will_of_an_earlier_session_is_old_news(devices: Devices) -> None:
    hear(devices, birth("s1"), birth("s2", at_s=2.0), death("s1"))
    assert online(devices)
    hear(devices, death("s2"))
    assert not online(devices)


def test_a_birth_that_comes_after_its_own_death_does_not_revive(devices: Devices) -> None:
    hear(devices, death("s1"), birth("s1"))
    assert not online(devices)
    hear(devices, birth("s2"))
    assert online(devices)


def test_a_birth_that_comes_twice_is_one(devices: Devices) -> None:
    hear(devices, birth("s1"), birth("s1"), death("s1"), birth("s1"))
    assert not online(devices)
    assert kinds(devices) == [EventKind.BORN, EventKind.DIED]


def test_a_connection_made_anew_in_the_same_session_revives(devices: Devices) -> None:
    hear(devices, birth("s1", at_s=1.0), death("s1"), birth("s1", at_s=2.0))
    assert online(devices)


def test_a_state_is_kept_with_its_time_of_arrival(devices: Devices) -> None:
    assert devices.reported("camera-1") is None
    hear(devices, birth(), state(3, held=True), at=later(5))
    assert devices.reported("camera-1") == state(3, held=True)
    found = devices.device("camera-1")
    assert (found.accepted, found.held, found.last_seen) == (3, True, later(5))


@pytest.mark.parametrize("jump_s", [YEARS_S, -YEARS_S, 5.0, -REORDER_S - 1])
def test_a_clock_that_jumps_hides_nothing(devices: Devices, jump_s: float) -> None:
    hear(devices, birth(), state(3, at_s=1e9), state(3, at_s=1e9 + jump_s, held=True))
    assert devices.device("camera-1").held


def test_what_was_overtaken_on_the_way_overwrites_nothing(devices: Devices) -> None:
    heard = hear(devices, birth(), state(3, 100.0), state(2, 101.0), state(3, 99.0, held=True))
    assert [h.fault for h in heard] == [None, None, *["overtaken by a later state"] * 2]
    assert devices.reported("camera-1") == state(3, 100.0)


def test_a_device_that_forgot_its_revision_is_believed_after_its_birth(devices: Devices) -> None:
    devices.set_desired("camera-1", "default", BUNDLE, by="ann", now=NOW)
    hear(devices, birth("s1"), state(1, 100.0))
    heard = hear(devices, birth("s2", at_s=200.0), state(0, 201.0))
    assert devices.device("camera-1").accepted == 0
    assert [h.owed for h in heard] == [None, 1]
    assert kinds(devices)[-1] is EventKind.FORGOT


@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1000)), min_size=1, max_size=8),
    st.floats(-1e10, 1e10),
)
def test_in_the_order_of_arrival_the_last_state_is_the_one_kept(
    steps: list[tuple[int, float]], skew_s: float
) -> None:
    kept, revision, at_s = None, 0, 0.0
    for more, pause_s in steps:
        revision, at_s = revision + more, at_s + pause_s
        new = state(revision, at_s + skew_s)
        assert supersedes(new, kept, born_since=False)
        kept = new


@given(st.integers(0, 3), st.floats(0, REORDER_S / 2), st.integers(0, 3), st.floats(0, 30))
def test_of_two_states_that_pass_each_other_the_later_is_kept(
    revision: int, at_s: float, more: int, pause_s: float
) -> None:
    first, second = state(revision, at_s), state(revision + more, at_s + pause_s)
    if more or second.at_s > first.at_s:
        assert not supersedes(first, second, born_since=False)


def test_a_birth_says_which_revision_the_device_should_be_sent_again(devices: Devices) -> None:
    assert hear(devices, birth("s1"))[0].owed is None
    devices.set_desired("camera-1", "default", BUNDLE, by="ann", now=NOW)
    assert hear(devices, birth("s2"))[0].owed == 1
    hear(devices, state(1))
    assert hear(devices, birth("s3"))[0].owed is None


def test_one_bad_message_harms_no_other(devices: Devices) -> None:
    topic = Topic("default", "camera-1", Kind.REPORTED)
    bad: list[tuple[Topic, bytes]] = [
        (topic, b"nonsense"),
        (topic, encode_wire(birth())),
        (topic, encode_wire(state(2**60))),
        (topic, encode_wire(state(-1))),
        (topic, encode_wire(state(1, float("nan")))),
        (topic, encode_wire(state(1, device="camera-2"))),
        (topic, encode_wire(msgspec.structs.replace(state(1), tenant="other"))),
        (topic, encode_wire(state(1, deployments={"a/b": DeploymentState()}))),
        (topic, encode_wire(state(1, deployments={f"d{n}": DeploymentState() for n in range(65)}))),
        (topic, encode_wire(state(1, lost={"x" * 200_000: 1}))),
        (topic, zstandard.compress(b"\0" * 2**22)),
        *told(birth("s" * 101), birth(""), birth("a\nb"), birth(at_s=float("inf"))),
        *told(death(""), death(device="camera-2")),
        (Topic("default", "stranger", Kind.BIRTH), encode_wire(birth(device="stranger"))),
        (Topic("other", "camera-1", Kind.BIRTH), encode_wire(birth())),
    ]
    heard = devices.hear([*bad, *told(birth("good"))], NOW)
    assert all(h.fault for h in heard[:-1])
    assert heard[-1].fault is None
    assert online(devices)
    assert devices.reported("camera-1") is None
    assert kinds(devices) == [EventKind.BORN]


def test_a_message_of_another_kind_is_a_programming_error(devices: Devices) -> None:
    with pytest.raises(ValueError, match="none of what a device says"):
        devices.hear([(Topic("default", "camera-1", Kind.REPORT), b"")], NOW)


def test_a_retired_device_is_not_heard(devices: Devices) -> None:
    devices.retire_device("camera-1", by="ann", now=NOW)
    assert hear(devices, birth())[0].fault == "'camera-1' is no device of this fleet"
    assert not online(devices)


def test_other_messages_count_as_being_seen(devices: Devices) -> None:
    devices.saw([("default", "camera-1"), ("default", "stranger")], later(1))
    devices.saw([("default", "camera-1")], later(2))
    assert devices.device("camera-1").last_seen == later(1)
    devices.saw([("default", "camera-1")], later(11))
    assert devices.device("camera-1").last_seen == later(11)


def test_the_timeline_tells_an_update_from_end_to_end(devices: Devices) -> None:
    devices.set_desired("camera-1", "default", BUNDLE, by="ann", now=NOW)
    serving = DeploymentState(serving=BUNDLE, swap=SWAP)
    steps: list[tuple[int, DeploymentState]] = [
        (1, DeploymentState(phase="fetching", target=BUNDLE)),
        (1, serving),
        (1, msgspec.structs.replace(serving, committed=BUNDLE)),
        (1, msgspec.structs.replace(serving, committed=BUNDLE)),
        (2, DeploymentState(serving=BUNDLE, committed=BUNDLE, swap=SWAP, restored_from=OTHER)),
    ]
    hear(devices, birth())
    for second, (revision, deployment) in enumerate(steps):
        hear(devices, state(revision, float(second), deployments={"default": deployment}))
    assert kinds(devices) == [
        EventKind.DESIRED,
        EventKind.BORN,
        EventKind.ACCEPTED,
        EventKind.SWAPPED,
        EventKind.COMMITTED,
        EventKind.ACCEPTED,
        EventKind.RESTORED,
    ]
    swapped = devices.timeline("camera-1", limit=4)[-1].news
    assert (swapped.deployment, swapped.bundle) == ("default", BUNDLE)
    assert swapped.text == f"swapped to {BUNDLE[:19]} in 0.01 ms"


def test_a_refusal_is_told_once(devices: Devices) -> None:
    refusal = Refusal(kind="TamperedError", reason="a\x1b[1mb\nc", phase="desired", at_s=1.0)
    for at_s in (1.0, 2.0):
        hear(devices, state(1, at_s, refusal=refusal))
    assert kinds(devices) == [EventKind.ACCEPTED, EventKind.REFUSED]
    text = devices.timeline("camera-1", limit=1)[0].news.text
    assert text == "TamperedError while desired: a [1mb c"


def test_the_timeline_is_bounded_and_the_newest_stay(devices: Devices, database: Database) -> None:
    for number in range(MAX_EVENTS // 2 + 20):
        hear(devices, birth(f"s{number}"), death(f"s{number}"), at=later(number))
    events = devices.timeline("camera-1")
    assert len(events) == MAX_EVENTS
    assert [e.number for e in events] == list(range(events[0].number, events[0].number - 200, -1))
    assert events[0].at == later(MAX_EVENTS // 2 + 19)
    assert devices.timeline("camera-1", limit=3) == events[:3]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(EventRow)) == MAX_EVENTS


@given(st.booleans(), st.integers(0, 5), st.integers(0, 5))
def test_a_state_told_twice_is_no_news(held: bool, before: int, after: int) -> None:
    first, second = state(before), state(after, held=held)
    assert news(second, second) == ()
    told_kinds = {item.kind for item in news(first, second)}
    assert (EventKind.ACCEPTED in told_kinds) == (after > before)
    assert (EventKind.HELD in told_kinds) == held


def test_long_words_of_a_device_are_cut(devices: Devices) -> None:
    refusal: Any = Refusal(kind="K" * 900, reason="r" * 900, phase="p", bundle="x" * 900, at_s=1.0)
    hear(devices, state(0, deployments={"default": DeploymentState(refusal=refusal)}))
    found = devices.timeline("camera-1", limit=1)[0].news
    assert found.bundle is not None
    assert (len(found.text), len(found.bundle)) == (300, 300)
