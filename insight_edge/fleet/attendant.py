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
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from insight_edge.bundle.owner import read_owner
from insight_edge.bundle.slots import Slots
from insight_edge.documents.codec import encode_wire
from insight_edge.documents.delivery import predictions_from_rows
from insight_edge.documents.host import Activated as HasActivated
from insight_edge.documents.topics import Kind
from insight_edge.errors import HostError, InsightEdgeError
from insight_edge.fleet.actions import Action, ActivateSlot, CommitSlot, RestoreSlot
from insight_edge.fleet.events import (
    Activated,
    ActivationRefused,
    CommitFailed,
    Committed,
    Event,
    HealthSeen,
    HostCame,
    HostLeft,
)
from insight_edge.fleet.hostlink import HostLink

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
        self._asked: queue.SimpleQueue[Action | None] = queue.SimpleQueue()
        self._offered: set[str] = set()
        self._stopping = False
        name = f"insight-edge attendant of {self._owner.deployment}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def ask(self, action: ActivateSlot | RestoreSlot | CommitSlot) -> None:
        """Have something done; an event tells how it ended."""
        self._asked.put(action)

    def stop(self) -> None:
        """End the thread once what it is about has ended."""
        self._stopping = True
        self._asked.put(None)
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            try:
                with HostLink(self._place) as host:
                    self._attend(host)
            except HostError as error:
                _log.debug("%s", error)
            except Exception:  # noqa: BLE001 (an agent that fails here would never update again)
                _log.exception("attending to %s failed; it goes on", self._owner.deployment)
            self._do_until(time.monotonic() + self._rhythm.retry_s, None)

    def _attend(self, host: HostLink) -> None:
        self._tell(HostCame(host.hello.serving))
        rhythm = self._rhythm
        duties: dict[Callable[[], None], float] = {
            lambda: self._tell(HealthSeen(host.health())): rhythm.health_s,
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
            self._collect(self._take_predictions)
            self._collect(self._take_reports)
        finally:
            self._tell(HostLeft())

    def _do_until(self, until_s: float, host: HostLink | None) -> None:
        """Carry out what is asked until a time of the monotonic clock, or until `stop`."""
        while not self._stopping:
            try:
                action = self._asked.get(timeout=max(0.0, until_s - time.monotonic()))
            except queue.Empty:
                return
            match action:
                case CommitSlot(slot):
                    self._tell(self._commit(slot))
                case ActivateSlot(slot) | RestoreSlot(slot) if host is not None:
                    self._tell(_activation(host, slot))
                case _:
                    continue  # asked of a host that has left: the protocol was told that it did

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

    def _offer_samples(self) -> None:
        for path in sorted((self._place / SAMPLES).glob("*.offer")):
            if path.stem not in self._offered:
                self._outbox.put(Kind.SAMPLE, path.read_bytes())
                self._offered.add(path.stem)


def _activation(host: HostLink, slot: str) -> Event:
    answer = host.activate(slot)
    if isinstance(answer, HasActivated):
        return Activated(answer.record)
    return ActivationRefused(answer.phase, answer.kind, answer.reason)
