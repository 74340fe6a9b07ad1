# SPDX-License-Identifier: Apache-2.0
"""The agent of one device: a loop that turns news into the next step.

News come from the link, from attendants beside the runtime hosts, from errands and
from the clock; one thread takes them one after the other. What follows is decided
by the update protocol (`fleet.update`, through the journal) and carried out by an
attendant, an errand or the keeper of a server. The agent loads no engine; where it dies,
inference goes on, and the next agent goes on from the journal.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from insight_edge.bundle.claim import Claim
from insight_edge.documents.codec import digest
from insight_edge.documents.device import Refusal
from insight_edge.documents.facts import Facts
from insight_edge.documents.topics import Kind
from insight_edge.errors import StorageError
from insight_edge.fleet.attendant import Attendant, Rhythm
from insight_edge.fleet.challenges.contest import PLACE as CHALLENGES
from insight_edge.fleet.challenges.contest import Contest
from insight_edge.fleet.challenges.rules import OF_CHALLENGES
from insight_edge.fleet.errands import Disbelieved, Errands, JobJudged, Judged, Progressed
from insight_edge.fleet.identity import deployment_dir, identity_of
from insight_edge.fleet.jobs.agenda import Agenda
from insight_edge.fleet.jobs.coming import Coming
from insight_edge.fleet.jobs.rules import under_way
from insight_edge.fleet.jobs.runner import PROGRAM
from insight_edge.fleet.jobs.store import JobStore
from insight_edge.fleet.journal import Journal
from insight_edge.fleet.link.connection import Pace
from insight_edge.fleet.link.events import Connected, Disconnected, LinkEvent, Received
from insight_edge.fleet.link.forward import forward, settle
from insight_edge.fleet.link.link import Link
from insight_edge.fleet.link.outbox import Outbox
from insight_edge.fleet.serving.keeper import Keeper
from insight_edge.fleet.telling import Telling
from insight_edge.fleet.transfer.incoming import sweep
from insight_edge.fleet.transfer.install import restarted
from insight_edge.fleet.trust.unjudged import Unjudged
from insight_edge.fleet.update.actions import (
    Action,
    ActivateSlot,
    CancelFetch,
    ChallengeHost,
    CommitSlot,
    FetchBundle,
    ReportState,
    RestoreSlot,
    StageBundle,
)
from insight_edge.fleet.update.events import Event, Held, Released, Tick, Unwanted, Wanted
from insight_edge.fleet.update.policy import Policy
from insight_edge.fleet.update.state import deployment_state

TICK_S: Final = 1.0
HELD: Final = "held"
"""A file of this name in the state directory stops updates; `agent hold` makes it."""

_log = logging.getLogger(__name__)

News = Judged | Disbelieved | JobJudged | Progressed | LinkEvent


class Agent:
    """One device; `run` it.

    Args:
        state: directory of the agent; the device is enrolled.
        facts: of this machine.
        policy: pauses and bounds of updates.
        rhythm: how often hosts are asked.
        pace: how patient the link is.
        clock: seconds since the epoch.
        program: `insight-edge`, as which jobs run and servers are started.

    Raises:
        ConfigurationError: the device is not enrolled, or another agent runs.
        StorageError: the state cannot be read or written.
    """

    def __init__(
        self,
        state: Path,
        facts: Facts,
        *,
        policy: Policy | None = None,
        rhythm: Rhythm | None = None,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.time,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._state, self._clock = state, clock
        self._me = identity_of(state)
        self._policy, self._rhythm = policy or Policy(), rhythm or Rhythm()
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._refusal: Refusal | None = None
        self._unjudged = Unjudged()
        self._held = False
        self._telling = Telling(state, self._me, facts, clock)
        with ExitStack() as opening:
            claim = Claim(state, "agent")
            opening.callback(claim.release)
            self._journal = Journal(state, self._me.deployments)
            self._outbox = Outbox(state / "agent.sqlite")
            opening.callback(self._outbox.close)
            self._errands = Errands(state, self._me, self._news.put, clock)
            opening.callback(self._errands.stop)
            self._agenda = Agenda(
                state,
                self._me,
                facts,
                JobStore(self._outbox),
                self._errands,
                policy=self._policy,
                clock=clock,
                program=program,
            )
            opening.callback(self._agenda.stop)
            self._coming = Coming(self._errands.judge_job, self._agenda, self._policy)
            self._link = Link(self._me, self._news.put, pace=pace)
            opening.callback(self._link.close)
            self._keepers = {
                name: Keeper(deployment_dir(state, name), program) for name in self._me.deployments
            }
            self._attendants: dict[str, Attendant] = {}
            self._contests: dict[str, Contest] = {}
            for name in self._me.deployments:
                self._attendants[name] = self._attendant(name)
                opening.callback(self._attendants[name].stop)
                self._contests[name] = self._contest(name, facts)
                opening.callback(self._contests[name].stop)
            self._closing = opening.pop_all()

    def run(self, stop: threading.Event) -> None:
        """Look after the device until `stop` is set, and then end in good order."""
        with self._closing:
            self._begin()
            while not stop.is_set():
                self._turn()
        # What hosts counted last was put into the outbox while they were left; it is kept there.

    def _attendant(self, name: str) -> Attendant:
        def tell(event: Event) -> None:
            self._news.put(Progressed(name, event))

        return Attendant(deployment_dir(self._state, name), self._outbox, tell, self._rhythm)

    def _contest(self, name: str, facts: Facts) -> Contest:
        def tell(event: Event) -> None:
            self._news.put(Progressed(name, event))

        return Contest(
            self._state / CHALLENGES / name,
            deployment_dir(self._state, name),
            self._errands,
            ask=lambda wanted: self._attendants[name].ask(ChallengeHost(wanted)),
            tell=tell,
            memory_bytes=facts.memory_bytes,
        )

    def _begin(self) -> None:
        """Go on where the agent before was killed."""
        for name in self._me.deployments:
            self._advance(name, restarted(deployment_dir(self._state, name)))
        self._want()
        targets = (self._journal.update(name).target for name in self._me.deployments)
        with suppress(StorageError):
            sweep(self._state, {target.bundle for target in targets if target is not None})

    def _turn(self) -> None:
        """Take the news of a second, then see what time brings."""
        deadline_s = time.monotonic() + TICK_S
        with suppress(queue.Empty):
            while True:
                news = self._news.get(timeout=max(0.0, deadline_s - time.monotonic()))
                self._survive(self._take, news)
        self._judge_again()
        self._look_at_hold()
        for name in self._me.deployments:
            self._advance(name, Tick())
        self._survive(self._turn_jobs)
        for name in self._me.deployments:
            self._survive(self._keep_server, name)
            self._turn_contest(name)
        self._survive(forward, self._outbox, self._link, self._clock())
        self._survive(self._tell)

    def _survive(self, step: Callable[..., object], *arguments: object) -> None:
        """Take a step that a full disk may prevent; what it was for comes again."""
        try:
            step(*arguments)
        except StorageError as error:
            _log.warning("%s", error)

    def _take(self, news: News) -> None:
        match news:
            case Progressed(deployment, event):
                self._hear(deployment, event)
            case Judged():
                self._accept(news)
            case Disbelieved(refusal, may_pass):
                _log.warning("%s: %s", refusal.kind, refusal.reason)
                self._refusal = refusal
                self._unjudged = self._unjudged.put_off(self._policy) if may_pass else Unjudged()
            case Received(kind=Kind.DESIRED, payload=payload):
                self._unjudged = Unjudged(payload=payload)
                self._judge(payload)
            case Received(kind=Kind.JOB, payload=payload):
                self._coming.came(payload)
            case JobJudged():
                self._coming.judged(news)
            case Connected(session=session):
                self._link.publish(Kind.BIRTH, self._telling.birth(session))
            case Disconnected(reason=reason):
                _log.info("the link is down: %s", reason)
            case _:
                ack = settle(self._outbox, news, self._clock())
                self._errands.upload({} if ack is None else ack.uploads)

    def _hear(self, deployment: str, event: Event) -> None:
        self._contests[deployment].hear(event, self._clock(), self._policy)
        if not isinstance(event, OF_CHALLENGES):
            self._advance(deployment, event)

    def _judge(self, payload: bytes) -> None:
        known = self._journal.accepted
        last = None if known is None else known.desired
        self._errands.judge(payload, self._journal.revision, last)

    def _judge_again(self) -> None:
        if self._unjudged.is_due():
            self._unjudged = self._unjudged.begun()
            self._judge(self._unjudged.payload)

    def _accept(self, news: Judged) -> None:
        self._unjudged = Unjudged()
        if news.desired.revision < self._journal.revision:
            return  # judged before a newer one was accepted
        self._journal.accept(news.desired, digest(news.payload))
        self._refusal = None
        self._want()

    def _want(self) -> None:
        """Let each deployment know what is desired of it."""
        if self._journal.accepted is None:
            return
        desired = self._journal.accepted.desired
        for name in self._me.deployments:
            wanted = desired.deployments.get(name)
            event = wanted and Wanted(wanted.bundle, desired.revision, desired.expires_s)
            self._advance(name, event or Unwanted())
            self._contests[name].desire(
                None if wanted is None else wanted.challenger, desired.revision, desired.expires_s
            )

    def _advance(self, deployment: str, event: Event) -> None:
        for action in self._journal.advance(deployment, event, self._clock(), self._policy):
            self._do(deployment, action)

    def _do(self, deployment: str, action: Action) -> None:
        if not isinstance(action, CommitSlot | ReportState | CancelFetch):
            self._agenda.make_way()  # however short the update is
        match action:
            case FetchBundle(bundle):
                self._errands.fetch(deployment, bundle)
            case StageBundle(bundle):
                self._errands.stage(deployment, bundle)
            case CancelFetch():
                self._errands.cancel(deployment)
            case ActivateSlot() | RestoreSlot() | CommitSlot():
                self._attendants[deployment].ask(action)
            case _:
                return  # the state is told every turn, if it has changed

    def _turn_jobs(self) -> None:
        self._coming.judge_again()
        updates = {name: self._journal.update(name) for name in self._me.deployments}
        phases = {
            name: under_way(one.phase, attached=one.attached) for name, one in updates.items()
        }
        self._agenda.turn(phases, held=self._held)

    def _keep_server(self, name: str) -> None:
        attached = self._journal.update(name).attached
        self._keepers[name].look(time.monotonic(), attached=attached)

    def _turn_contest(self, name: str) -> None:
        update = self._journal.update(name)
        self._contests[name].turn(update, self._clock(), self._policy, held=self._held)

    def _look_at_hold(self) -> None:
        held = (self._state / HELD).exists()
        if held != self._held:
            self._held = held
            for name in self._me.deployments:
                self._advance(name, Held() if held else Released())

    def _tell(self) -> None:
        deployments = {}
        for name in self._me.deployments:
            present_bytes, total_bytes = self._errands.progress(name)
            standing = deployment_state(
                self._journal.update(name),
                progress_bytes=present_bytes,
                total_bytes=total_bytes,
                policy=self._policy,
            )
            deployments[name] = replace(standing, challenger=self._contests[name].state)
        self._telling.tell(
            self._link.publish,
            deployments,
            revision=self._journal.revision,
            held=self._held,
            lost=self._outbox.lost,
            refusal=self._refusal,
            jobs=self._agenda.states(),
        )
