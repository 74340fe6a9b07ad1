# SPDX-License-Identifier: Apache-2.0
"""The jobs of a device, from their arrival to their result: what the agent turns each second.

Used by the agent's thread alone. What is decided is decided by `fleet.jobs.rules`, what is
kept lies in `fleet.jobs.store`, and what takes time is `fleet.jobs.runner`'s.
"""

import logging
import os
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from insight_edge.documents.device import Phase
from insight_edge.documents.enrolment import Identity
from insight_edge.documents.facts import Facts
from insight_edge.documents.job import Job, JobState
from insight_edge.errors import InsightEdgeError, StorageError
from insight_edge.fleet.jobs.outcome import Again, Broken, Done, Ended, Measuring
from insight_edge.fleet.jobs.pauses import Pauses
from insight_edge.fleet.jobs.rules import Over, in_the_way, may_begin, on_arrival, over_untried
from insight_edge.fleet.jobs.runner import PLACE, PROGRAM, Offers, Runner
from insight_edge.fleet.jobs.store import JobStore, Kept
from insight_edge.fleet.jobs.word import last_word
from insight_edge.fleet.trust.floor import passed_s
from insight_edge.fleet.update.policy import Policy

NO_JOBS: Final = "no-jobs"
"""A file of this name in the state directory refuses jobs; `agent hold --jobs` makes it."""

FORGET_S: Final = 3600.0

_log = logging.getLogger(__name__)


class Agenda:
    """The jobs of one agent.

    Args:
        state: directory of the agent.
        identity: of the device.
        facts: of this machine.
        store: keeps jobs over restarts.
        offers: what bundles come by.
        policy: pauses between attempts to fetch one.
        clock: seconds since the epoch.
        program: `insight-edge`.

    Raises:
        StorageError: the store cannot be read; so of every method but `states` and `stop`, and
            then what they are for is done at another turn.
    """

    def __init__(
        self,
        state: Path,
        identity: Identity,
        facts: Facts,
        store: JobStore,
        offers: Offers,
        *,
        policy: Policy,
        clock: Callable[[], float],
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._state, self._me, self._store, self._clock = state, identity, store, clock
        self._news: queue.SimpleQueue[Measuring | Ended] = queue.SimpleQueue()
        self._under_way: str | None = None
        self._measuring = False
        self._ended: Ended | None = None
        self._pauses = Pauses(policy)
        self._waits: tuple[JobState, ...] = ()
        self._forget_s = 0.0
        place = state / PLACE
        self._runner = Runner(place, identity.device, facts, offers, self._news.put, program)
        self._left = True  # by the agent before, perhaps

    def take(self, job: Job) -> None:
        """Take in a job that is believed; one that came before is not taken twice."""
        kept = [one.job.id for one in self._store.kept()]
        decision = on_arrival(
            job,
            kept=kept,
            remembered=self._store.over(),
            refused=self._refused,
            now_s=self._clock(),
        )
        if decision == "keep":
            self._store.keep(job)
        elif isinstance(decision, Over):
            self._finish(job, decision)
            if job.id == self._under_way:
                self._runner.break_off()

    def refuse(self, job: Job, error: InsightEdgeError) -> None:
        """Answer a job that the cloud meant and that no device does."""
        known = {one.job.id for one in self._store.kept()} | self._store.over()
        if job.id not in known:
            self._finish(job, Over("refused", error))

    def turn(self, deployments: Mapping[str, Phase], *, held: bool) -> None:
        """Do what time and the device's state ask for: end, break off, begin.

        Args:
            deployments: the phase of each update.
            held: the device's owner has stopped updates, and jobs with them.
        """
        self._hear()
        self._settle()
        self._forget()
        kept = [one for one in self._store.kept() if not self._is_over(one)]
        if self._refused or in_the_way(deployments, held=held) is not None:
            self.make_way()
        elif not kept:
            self._clear()
        waits = {one.job.id: self._why_not(one.job, deployments, held=held) for one in kept}
        self._begin_first(kept, waits)
        self._waits = tuple(self._stands(name, why) for name, why in waits.items())

    def make_way(self) -> None:
        """Let an update have the machine and the disk: break off, and keep nothing for later."""
        if self._under_way is not None:
            self._runner.break_off()
        else:
            self._clear()

    def states(self) -> tuple[JobState, ...]:
        """Return how far each job is, as of the last turn."""
        return self._waits

    def stop(self) -> None:
        """Break off what is under way; the next agent begins it anew."""
        self._runner.stop()
        self._hear()
        with suppress(StorageError):
            self._settle()

    @property
    def _refused(self) -> bool:
        return (self._state / NO_JOBS).exists()

    def _hear(self) -> None:
        with suppress(queue.Empty):
            while True:
                news = self._news.get_nowait()
                if isinstance(news, Ended):
                    self._ended = news
                else:
                    self._measuring = True

    def _settle(self) -> None:
        """Write down what came of the job under way; it stays under way until that is written."""
        if self._ended is None:
            return
        name, outcome = self._ended
        job = next((one.job for one in self._store.kept() if one.job.id == name), None)
        if job is not None:  # it may have been withdrawn meanwhile
            match outcome:
                case Done() | Over():
                    self._finish(job, outcome)
                case Again(reason):
                    self._store.put_back(name)
                    self._pauses.put_off(name, reason)
                    self._left = True
                case Broken():
                    self._store.put_back(name)
        self._under_way = self._ended = None

    def _is_over(self, kept: Kept) -> bool:
        """Return whether a job that waits is over untried, and write that down."""
        if kept.job.id == self._under_way:
            return False
        over = over_untried(kept.job, kept.attempts, refused=self._refused, now_s=self._clock())
        if over is not None:
            self._finish(kept.job, over)
        return over is not None

    def _clear(self) -> None:
        """Remove what lies on the disk of a job that was put off, or of an agent before."""
        if self._left and self._under_way is None:
            self._left = False
            self._runner.sweep()

    def _why_not(self, job: Job, deployments: Mapping[str, Phase], *, held: bool) -> str | None:
        if self._under_way is not None:
            return "another job is under way"
        return self._pauses.reason(job.id) or may_begin(
            job,
            deployments,
            held=held,
            load=os.getloadavg()[0],
            cores=os.cpu_count() or 1,
            now_s=self._clock(),
        )

    def _begin_first(self, kept: Sequence[Kept], waits: Mapping[str, str | None]) -> None:
        job = next((one.job for one in kept if waits[one.job.id] is None), None)
        if job is not None:
            self._store.begin(job.id)
            self._under_way, self._measuring = job.id, False
            self._runner.begin(job)

    def _stands(self, name: str, why: str | None) -> JobState:
        if name == self._under_way:
            return JobState(id=name, phase="measuring" if self._measuring else "fetching")
        return JobState(id=name, phase="waiting", why=why or "another job is under way")

    def _finish(self, job: Job, outcome: Done | Over) -> None:
        said = last_word(self._me.device, job.id, outcome, at_s=self._clock())
        self._store.finish(job.id, job.expires_s, said)
        self._pauses.forget(job.id)

    def _forget(self) -> None:
        if time.monotonic() >= self._forget_s:
            self._store.forget(passed_s(self._state))
            self._forget_s = time.monotonic() + FORGET_S
