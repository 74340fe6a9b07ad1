# SPDX-License-Identifier: Apache-2.0
"""Attend to one deployment: its runtime host, its slots, and what the host has counted.

A thread of the agent. It connects to the host whenever there is one, tells what it
sees as events of the update protocol, carries out what is asked of the host, and
puts reports, predictions and sample offers into the outbox. These are taken over a
connection of their own: a host forgets what it handed over when the next request
arrives on the same one, so where the outbox is full that one is simply closed, and
the host keeps all. It decides nothing.
"""

import logging
import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from insight_edge.bundle.owner import read_owner
from insight_edge.bundle.slots import Slots
from insight_edge.documents.codec import encode_wire
from insight_edge.documents.delivery import Outcome, predictions_from_rows
from insight_edge.documents.desired import Challenging
from insight_edge.documents.host import Activated as HasActivated
from insight_edge.documents.host import Compared
from insight_edge.documents.topics import Kind
from insight_edge.errors import HostError, InsightEdgeError
from insight_edge.fleet.challenges.rules import ChallengeRefused, Challenges
from insight_edge.fleet.hostlink import HostLink
from insight_edge.fleet.update.actions import (
    Action,
    ActivateSlot,
    ChallengeHost,
    CommitSlot,
    RestoreSlot,
)
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

SAMPLES = "samples"
MAX_REPORTS = 70
"""Taken in one go; a host keeps fewer closed windows."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """How often the host is asked for what.

    Attributes:
        retry_s: between two attempts to find a host.
    """

    window_s: float = 60.0
    health_s: float = 2.0
    predictions_s: float = 5.0
    retry_s: float = 1.0


class Keeps(Protocol):
    """What an outbox is to an attendant."""

    def put(self, kind: Kind, payload: bytes) -> str:
        """Keep a message until the cloud has it."""
        ...

    def lost_before(self, kind: Kind, where: str, messages: int) -> None:
        """Count messages that were lost before they came here."""
        ...


class Attendant:
    """Attends to a deployment in a thread of its own, until `stop`.

    Args:
        place: state directory of the deployment.
        outbox: takes what the host has counted.
        tell: called with every event, from this thread.
        rhythm: how often the host is asked.
    """

    def __init__(
        self, place: Path, outbox: Keeps, tell: Callable[[Event], None], rhythm: Rhythm
    ) -> None:
        self._place = place
        self._owner = read_owner(place)
        self._slots = Slots(place)
        self._outbox = outbox
        self._tell = tell
        self._rhythm = rhythm
        self._asked: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._offered: set[str] = set()
        self._dropped = (0, 0)
        self._stopping = False
        name = f"insight-edge attendant of {self._owner.deployment}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def ask(self, action: ActivateSlot | RestoreSlot | CommitSlot | ChallengeHost) -> None:
        """Have something done; an event tells how it ended."""
        self._asked.put(action)
        self._ring()

    def stop(self) -> None:
        """End the thread once what it is about has ended."""
        self._stopping = True
        self._ring()
        self._thread.join()
        self._bell.close()
        self._ear.close()

    def _ring(self) -> None:
        with suppress(OSError):  # it has rung already, or there is nobody to hear it any more
            self._bell.send(b"!")

    def _run(self) -> None:
        while not self._stopping:
            with self._surviving(), HostLink(self._place) as host:
                if not host.hello.leaving:
                    self._attend(host)
            with self._surviving():
                self._take_last()
            self._do_until(time.monotonic() + self._rhythm.retry_s, None)

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except HostError as error:
            _log.debug("%s", error)
        except Exception:  # noqa: BLE001 (an agent that fails here would never update again)
            _log.exception("attending to %s failed; it goes on", self._owner.deployment)

    def _take_last(self) -> None:
        """Take what a host has counted that stays for nothing else (rule H7).

        Raises:
            HostError: there is none.
        """
        with HostLink(self._place) as host:
            leaving = host.hello.leaving
        if leaving:
            self._collect_all()

    def _collect_all(self) -> None:
        for take in (self._take_outcomes, self._take_predictions, self._take_reports):
            self._collect(take)

    def _attend(self, host: HostLink) -> None:
        self._tell(HostCame(host.hello.serving))
        rhythm = self._rhythm
        duties: dict[Callable[[], None], float] = {
            lambda: self._tell(HealthSeen(host.health())): rhythm.health_s,
            lambda: self._collect(self._take_outcomes): rhythm.predictions_s,
            lambda: self._collect(self._take_predictions): rhythm.predictions_s,
            lambda: self._collect(self._take_reports): rhythm.window_s,
        }
        due_s = {duty: time.monotonic() + each for duty, each in duties.items()}
        try:
            while not self._stopping:
                for duty, each_s in duties.items():
                    if due_s[duty] <= time.monotonic():
                        due_s[duty] = time.monotonic() + each_s
                        duty()
                self._do_until(min(due_s.values()), host)
            self._collect_all()
        finally:
            self._tell(HostLeft())

    def _do_until(self, until_s: float, host: HostLink | None) -> None:
        """Carry out what is asked until a time of the monotonic clock, or until `stop`.

        Raises:
            HostError: the host left.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._ear, selectors.EVENT_READ)
            if host is not None:
                selector.register(host, selectors.EVENT_READ)
            while not self._stopping and (left_s := until_s - time.monotonic()) > 0:
                heard = {key.fileobj for key, _ in selector.select(left_s)}
                if self._ear in heard:
                    _drain(self._ear)
                while (action := self._next_asked()) is not None:
                    self._do(action, host)
                if host in heard:
                    raise HostError(f"{self._place}: the host hung up")

    def _next_asked(self) -> Action | None:
        try:
            return self._asked.get_nowait()
        except queue.Empty:
            return None

    def _do(self, action: Action, host: HostLink | None) -> None:
        match action:
            case CommitSlot(slot):
                self._tell(self._commit(slot))
            case ActivateSlot(slot) | RestoreSlot(slot) if host is not None:
                self._tell(_activation(host, slot))
            case ChallengeHost(wanted) if host is not None:
                self._tell(_challenge(host, wanted))
            case _:
                return  # asked of a host that has left: the protocol was told that it did

    def _commit(self, slot: str) -> Event:
        try:
            self._slots.commit(slot)
        except InsightEdgeError as error:
            return CommitFailed(type(error).__name__, str(error))
        return Committed(slot)

    def _collect(self, take: Callable[[HostLink], None]) -> None:
        """Take something of the host; where it cannot be kept, let the host keep it.

        Raises:
            HostError: the host left.
        """
        with HostLink(self._place) as host:
            try:
                take(host)
            except HostError:
                raise
            except InsightEdgeError as error:
                _log.warning("what %s counted waits there: %s", self._owner.deployment, error)
            else:
                host.health()  # the request that lets the host forget what was taken last

    def _take_reports(self, host: HostLink) -> None:
        self._offer_samples()
        self._tell(HealthSeen(host.health()))  # what the open window has is gone from the next
        began_s = time.time()
        for _ in range(MAX_REPORTS):
            report = host.take_report()
            if report is None:
                return
            mine = replace(report, device=self._owner.device, deployment=self._owner.deployment)
            self._outbox.put(Kind.REPORT, encode_wire(mine))
            if report.window.closed_s >= began_s:
                return  # the one that was open; another call would close the next

    def _take_predictions(self, host: HostLink) -> None:
        while rows := host.take_predictions():
            for batch in predictions_from_rows(self._owner.device, self._owner.deployment, rows):
                self._outbox.put(Kind.PREDICTION, encode_wire(batch))

    def _take_outcomes(self, host: HostLink) -> None:
        me = self._owner
        while True:
            taken = host.take_outcomes()
            dropped = (taken.boot, taken.dropped)
            if taken.dropped and dropped != self._dropped:
                where = f"{me.deployment}/{taken.boot}"
                self._outbox.lost_before(Kind.OUTCOME, where, taken.dropped)
                self._dropped = dropped
            for row in taken.rows:
                deployment = None if row.key is None else me.deployment
                outcome = Outcome(
                    id=row.id, key=row.key, deployment=deployment, label=row.label, at_s=row.at_s
                )
                self._outbox.put(Kind.OUTCOME, encode_wire(outcome))
            if not taken.rows:
                return

    def _offer_samples(self) -> None:
        for path in sorted((self._place / SAMPLES).glob("*.offer")):
            if path.stem in self._offered:
                continue
            try:
                offer = path.read_bytes()
            except FileNotFoundError:  # it has made room for a newer one
                continue
            self._outbox.put(Kind.SAMPLE, offer)
            self._offered.add(path.stem)


def _drain(ear: socket.socket) -> None:
    with suppress(BlockingIOError):
        while ear.recv(4096):
            pass


def _challenge(host: HostLink, wanted: Challenging | None) -> Event:
    answer = host.challenge(wanted)
    if isinstance(answer, Compared):
        return Challenges(answer.bundle)
    return ChallengeRefused(answer.kind, answer.reason)


def _activation(host: HostLink, slot: str) -> Event:
    answer = host.activate(slot)
    if isinstance(answer, HasActivated):
        return Activated(answer.record)
    return ActivationRefused(answer.phase, answer.kind, answer.reason)
