# SPDX-License-Identifier: Apache-2.0
"""An attendant beside a real host: nothing that was counted is lost or doubled."""

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.owner import write_owner
from insight_edge.bundle.slots import Slots
from insight_edge.documents.codec import decode_wire, digest
from insight_edge.documents.delivery import Outcome, Predictions, SampleOffer
from insight_edge.documents.owner import Owner
from insight_edge.documents.report import Report
from insight_edge.documents.topics import Kind
from insight_edge.errors import StorageError
from insight_edge.fleet.attendant import Attendant, Rhythm
from insight_edge.fleet.update.actions import ActivateSlot, CommitSlot
from insight_edge.fleet.update.events import (
    Activated,
    ActivationRefused,
    CommitFailed,
    Committed,
    Event,
    HealthSeen,
    HostCame,
    HostLeft,
)
from insight_edge.runtime import outcomes
from insight_edge.runtime.host import HAND_OVER_S
from insight_edge.runtime.infer import Runtime
from tests.fakes.matrix import install, one_row, tagged_matrix, write_matrix_bundle

DEADLINE_S = 20
QUICK = Rhythm(window_s=0.05, health_s=0.02, predictions_s=0.05, retry_s=0.02)
E = TypeVar("E", bound=Event)


@dataclass
class Kept:
    """What was put into the outbox; can be full."""

    messages: dict[str, tuple[Kind, bytes]] = field(default_factory=dict)
    lost: dict[tuple[Kind, str], int] = field(default_factory=dict)
    full: bool = False
    turned_away: int = 0

    def put(self, kind: Kind, payload: bytes) -> str:
        if self.full:
            self.turned_away += 1
            raise StorageError("the disk is full")
        self.messages[digest(payload)] = (kind, payload)
        return digest(payload)

    def lost_before(self, kind: Kind, where: str, messages: int) -> None:
        self.lost[kind, where] = messages

    def of(self, kind: Kind) -> list[bytes]:
        return [payload for found, payload in tuple(self.messages.values()) if found is kind]

    def reports(self) -> list[Report]:
        return [decode_wire(Report, payload) for payload in self.of(Kind.REPORT)]

    def asked(self) -> int:
        return sum(report.counts.asked for report in self.reports())


@dataclass
class Told:
    """Events, in order."""

    events: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)

    def next(self, kind: type[E]) -> E:
        """Return the next event of a kind; those before it are passed over."""
        while True:
            event = self.events.get(timeout=DEADLINE_S)
            if isinstance(event, kind):
                return event


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install(monkeypatch)
    slots = Slots(tmp_path / "d")
    write_owner(tmp_path / "d", Owner(tenant="default", device="press-7", deployment="camera-1"))
    for tag in (1, 2):
        write_matrix_bundle(tmp_path / str(tag), tagged_matrix(tag))
        slots.accept(open_bundle(tmp_path / str(tag), allow_unsigned=True).digest)
    slots.commit(slots.stage(tmp_path / "1"))
    slots.stage(tmp_path / "2")
    return tmp_path / "d"


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def attendant(place: Path, kept: Kept, told: Told) -> Iterator[Attendant]:
    attending = Attendant(place, kept, told.events.put, QUICK)
    try:
        yield attending
    finally:
        attending.stop()


def until(holds: Callable[[], bool], told: Told) -> None:
    """Wait for something; every heartbeat of the host is a chance to look."""
    while not holds():
        told.next(HealthSeen)


def test_host_is_found_whenever_it_comes_and_missed_when_it_leaves(
    attendant: Attendant, place: Path, told: Told
) -> None:
    del attendant
    for _ in range(2):
        with Runtime.attach(place) as runtime:
            assert told.next(HostCame).serving == runtime.infer(one_row()).bundle
        told.next(HostLeft)


def test_slot_is_activated_and_committed_when_asked(
    attendant: Attendant, place: Path, told: Told
) -> None:
    with Runtime.attach(place) as runtime:
        told.next(HostCame)
        attendant.ask(ActivateSlot("b"))
        record = told.next(Activated).record
        assert runtime.infer(one_row()).bundle == record.target
        attendant.ask(CommitSlot("b"))
        assert told.next(Committed).slot == "b"
    assert Slots(place).committed == "b"


def test_refused_activation_says_where_and_why(
    attendant: Attendant, place: Path, told: Told, tmp_path: Path
) -> None:
    write_matrix_bundle(tmp_path / "3", tagged_matrix(3))
    Slots(place).stage(tmp_path / "3")
    with Runtime.attach(place):
        told.next(HostCame)
        attendant.ask(ActivateSlot("b"))
        refused = told.next(ActivationRefused)
    assert (refused.phase, refused.kind) == ("stage", "UnsignedError")


def test_commit_needs_no_host_and_says_when_it_cannot_be(
    attendant: Attendant, place: Path, told: Told
) -> None:
    attendant.ask(CommitSlot("b"))
    assert told.next(Committed).slot == "b"
    Slots(place).clear("a")
    attendant.ask(CommitSlot("a"))
    assert told.next(CommitFailed).kind == "SlotError"


def test_everything_asked_is_in_the_outbox_once_across_swaps(
    attendant: Attendant, place: Path, told: Told, kept: Kept
) -> None:
    asked = 0
    with Runtime.attach(place) as runtime:
        told.next(HostCame)
        for slot in ("b", "a", "b"):
            for _ in range(50):
                runtime.infer(one_row(), key=str(asked))
                asked += 1
            attendant.ask(ActivateSlot(slot))
            told.next(Activated)
        until(lambda: kept.asked() == asked, told)
    told.next(HostLeft)
    reports = kept.reports()
    assert kept.asked() == asked
    assert len({(report.boot, report.sequence) for report in reports}) == len(reports)
    assert {(report.device, report.deployment) for report in reports} == {("press-7", "camera-1")}


def test_predictions_are_in_the_outbox_with_their_ids(
    attendant: Attendant, place: Path, told: Told, kept: Kept
) -> None:
    del attendant
    with Runtime.attach(place) as runtime:
        told.next(HostCame)
        result = runtime.infer(one_row(), key="order-1")
        until(lambda: bool(kept.of(Kind.PREDICTION)), told)
    batch = decode_wire(Predictions, kept.of(Kind.PREDICTION)[0])
    first = f"{batch.device}/{batch.deployment}/{batch.boot}/{batch.counters[0]}"
    assert (first, batch.keys[0], batch.bundles[0]) == (result.id, "order-1", result.bundle)
    assert batch.outputs["y"][0] == (1.0,) * 4


def test_full_outbox_leaves_everything_with_the_host(
    attendant: Attendant, place: Path, told: Told, kept: Kept
) -> None:
    del attendant
    kept.full = True
    with Runtime.attach(place) as runtime:
        told.next(HostCame)
        for _ in range(10):
            runtime.infer(one_row())
        until(lambda: kept.turned_away >= 5, told)
        kept.full = False
        until(lambda: kept.asked() == 10, told)
    assert len(kept.reports()) == len({report.sequence for report in kept.reports()})


def test_window_of_a_host_that_was_killed_arrives_after_it_came_back(
    place: Path, kept: Kept, told: Told
) -> None:
    runtime = Runtime.attach(place)
    runtime.infer(one_row())
    runtime.close()  # its last window is left on disk, as a crash would leave it
    attending = Attendant(place, kept, told.events.put, QUICK)
    try:
        with Runtime.attach(place):
            told.next(HostCame)
            until(lambda: kept.asked() == 1, told)
    finally:
        attending.stop()
    assert [(report.boot, report.sequence) for report in kept.reports()] == [(1, 0)]


def test_last_window_of_a_runtime_that_closes_arrives_before_it_is_gone(
    attendant: Attendant, place: Path, told: Told, kept: Kept
) -> None:
    del attendant
    with Runtime.attach(place) as runtime:
        told.next(HostCame)
        results = [runtime.infer(one_row()) for _ in range(7)]
        assert runtime.outcome("cat", id=results[0].id)
    assert kept.asked() == 7
    assert len(kept.of(Kind.OUTCOME)) == 1
    assert kept.of(Kind.PREDICTION)
    told.next(HostLeft)
    assert list(place.glob("window-*.map")) == []


def test_runtime_that_nobody_attends_to_closes_soon_and_keeps_its_window(place: Path) -> None:
    runtime = Runtime.attach(place)
    runtime.infer(one_row())
    began_s = time.monotonic()
    runtime.close()
    assert time.monotonic() - began_s < HAND_OVER_S + 1.0
    assert len(list(place.glob("window-*.map"))) == 1
    began_s = time.monotonic()
    (place / "owner.json").unlink()
    Runtime.attach(place).close()
    assert time.monotonic() - began_s < HAND_OVER_S


def test_runtime_that_is_gone_before_its_agent_looks_hands_over_all_the_same(
    place: Path, kept: Kept, told: Told
) -> None:
    slow = Rhythm(window_s=60.0, health_s=60.0, predictions_s=60.0, retry_s=0.5)
    attending = Attendant(place, kept, told.events.put, slow)
    try:
        for calls in range(1, 4):
            with Runtime.attach(place) as runtime:
                runtime.infer(one_row())
                runtime.outcome("cat", key=f"order-{calls}")
            assert kept.asked() == calls == len(kept.of(Kind.OUTCOME))
    finally:
        attending.stop()


def test_full_outbox_holds_a_closing_runtime_for_a_moment_and_loses_nothing(
    attendant: Attendant, place: Path, told: Told, kept: Kept
) -> None:
    del attendant
    runtime = Runtime.attach(place)
    told.next(HostCame)
    runtime.infer(one_row())
    kept.full = True
    runtime.close()
    assert len(list(place.glob("window-*.map"))) == 1
    kept.full = False
    with Runtime.attach(place):
        told.next(HostCame)
        until(lambda: kept.asked() == 1, told)


def test_outcomes_are_in_the_outbox_and_what_had_no_room_is_counted(
    attendant: Attendant, place: Path, told: Told, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    del attendant
    kept.full = True
    monkeypatch.setattr(outcomes, "MAX_KEPT", 3)
    with Runtime.attach(place) as runtime:
        told.next(HostCame)
        taken = [runtime.outcome(n, key=f"order-{n}", at_s=5.0) for n in range(5)]
        assert taken == [True] * 3 + [False] * 2
        kept.full = False
        until(lambda: len(kept.of(Kind.OUTCOME)) == 3, told)
        until(lambda: kept.lost == {(Kind.OUTCOME, "camera-1/1"): 2}, told)
        until(lambda: runtime.outcome(7.5, id="press-7/camera-1/1/0", at_s=6.0), told)
        until(lambda: len(kept.of(Kind.OUTCOME)) == 4, told)
    found = [decode_wire(Outcome, payload) for payload in kept.of(Kind.OUTCOME)]
    assert found[0] == Outcome(key="order-0", deployment="camera-1", label=0, at_s=5.0)
    assert found[-1] == Outcome(id="press-7/camera-1/1/0", label=7.5, at_s=6.0)


def test_offer_that_made_room_for_a_newer_one_keeps_nothing_back(
    attendant: Attendant, place: Path, told: Told, kept: Kept
) -> None:
    del attendant
    (place / "samples").mkdir()
    (place / "samples" / f"{'0' * 64}.offer").symlink_to("gone")
    with Runtime.attach(place) as runtime:
        told.next(HostCame)
        runtime.infer(one_row())
        until(lambda: bool(kept.of(Kind.REPORT)), told)


def test_kept_inputs_are_offered_as_they_were_written(
    attendant: Attendant, place: Path, told: Told, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    del attendant
    monkeypatch.setattr("insight_edge.runtime.serving.PERIOD_NS", 0)
    with Runtime.attach(place) as runtime:
        told.next(HostCame)
        result = runtime.infer(one_row(1e9))
        until(lambda: bool(kept.of(Kind.SAMPLE)), told)
    offer = decode_wire(SampleOffer, kept.of(Kind.SAMPLE)[0])
    assert (offer.id, offer.reason) == (result.id, "out-of-range")
    assert digest((place / "samples" / f"{offer.digest[7:]}.npz").read_bytes()) == offer.digest
