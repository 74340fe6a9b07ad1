# SPDX-License-Identifier: Apache-2.0
"""Does one job at a time in a thread of its own: fetch the bundle, time it, say what came of it.

    <state>/jobs/incoming/<hex>/     the bundle, apart from slots and updates
    <state>/jobs/attempt/            what the program that times it writes

Both are gone when a job has ended. What is done when is decided by `fleet.jobs.rules`
and carried out by `fleet.jobs.agenda`; this keeps nothing over restarts.
"""

import logging
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from insight_edge.bundle.durable import storing
from insight_edge.documents.codec import decode_json
from insight_edge.documents.facts import Facts
from insight_edge.documents.job import Job
from insight_edge.documents.manifest import Manifest, Variant
from insight_edge.errors import (
    EngineMissingError,
    InsightEdgeError,
    LoadFailedError,
    StorageError,
)
from insight_edge.fleet.jobs.fitness import left_out, needed_bytes, timed
from insight_edge.fleet.jobs.memory import available_bytes
from insight_edge.fleet.jobs.outcome import Again, Broken, Done, Ended, Measuring, Outcome
from insight_edge.fleet.jobs.rules import Over, on_error, over_untried
from insight_edge.fleet.jobs.timing import ATTEMPT, time_bundle
from insight_edge.fleet.transfer.download import Source
from insight_edge.fleet.transfer.incoming import FOLDER, Incoming

PLACE: Final = "jobs"
PROGRAM: Final = (sys.executable, "-P", "-m", "insight_edge.cli.main")
"""The program `insight-edge` of this environment."""

_log = logging.getLogger(__name__)


class Offers(Protocol):
    """What a runner gets bundles by."""

    @property
    def source(self) -> Source:
        """Where files come from."""
        ...

    @property
    def slots(self) -> Sequence[Path]:
        """State directories of the deployments, which may hold files already."""
        ...

    def manifest(self, bundle: str) -> tuple[bytes, float]:
        """Return a listed manifest by its digest, and the time to go by."""
        ...


class Runner:
    """Does jobs until `stop`.

    Args:
        place: directory of its own.
        device: name of this one.
        facts: of this machine.
        offers: what bundles come by.
        tell: called with what happens, from another thread.
        program: `insight-edge`.
    """

    def __init__(
        self,
        place: Path,
        device: str,
        facts: Facts,
        offers: Offers,
        tell: Callable[[Measuring | Ended], None],
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._place, self._device, self._facts = place, device, facts
        self._offers, self._tell, self._program = offers, tell, program
        self._end = threading.Event()
        self._stopping = self._measuring = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="insight-edge job")

    def begin(self, job: Job) -> None:
        """Do a job that none is under way beside; `Ended` tells what came of it."""
        self._end = threading.Event()
        self._pool.submit(self._run, job, self._end.is_set)

    def break_off(self) -> None:
        """Have the job under way end soon, as `Broken` or as whatever it was just about to be."""
        self._end.set()

    def sweep(self) -> None:
        """Remove whatever lies here of a job, unless one is under way."""
        self._pool.submit(self._sweep)

    def stop(self) -> None:
        """Break off what is under way and wait for its end; what was fetched stays."""
        self._stopping = True
        self._end.set()
        self._pool.shutdown()

    def _run(self, job: Job, stop: Callable[[], bool]) -> None:
        outcome = self._outcome(job, stop)
        if not (self._stopping or isinstance(outcome, Again)):
            self._sweep()
        self._tell(Ended(job.id, outcome))

    def _outcome(self, job: Job, stop: Callable[[], bool]) -> Outcome:
        self._measuring = False
        try:
            return self._tried(job, stop)
        except InsightEdgeError as error:
            if stop():
                return Broken()
            _log.warning("job %s: %s", job.id, error)
            return on_error(error, measuring=self._measuring) or Again(str(error))
        except Exception as error:  # noqa: BLE001 (the next job may be one that can be done)
            _log.exception("job %s failed in an unforeseen way", job.id)
            words = f"{type(error).__name__}: {error}"
            return Over("failed", InsightEdgeError(words[:200]))

    def _tried(self, job: Job, stop: Callable[[], bool]) -> Outcome:
        found, now_s = self._offers.manifest(job.bench.bundle)
        over = over_untried(job, 0, refused=False, now_s=now_s)
        if over is not None:
            return over
        manifest = decode_json(Manifest, found)
        variants = self._variants(job, manifest)
        incoming = Incoming(self._place, found)
        self._refuse_short_memory(variants)
        incoming.assemble(self._offers.source, self._offers.slots, stop=stop, stays=True)
        self._refuse_short_memory(variants)
        return self._timed(job, manifest, variants, stop)

    def _variants(self, job: Job, manifest: Manifest) -> tuple[Variant, ...]:
        variants = timed(manifest, job.bench.variants, self._facts)
        if not variants:
            reasons = left_out(manifest, job.bench.variants, self._facts)
            words = "; ".join(f"{name}: {why}" for name, why in reasons.items())
            raise EngineMissingError(f"nothing of the bundle can be timed here: {words}"[:400])
        return variants

    def _timed(
        self, job: Job, manifest: Manifest, variants: Sequence[Variant], stop: Callable[[], bool]
    ) -> Done:
        self._measuring = True
        self._tell(Measuring(job.id))
        names = [variant.name for variant in variants]
        results = time_bundle(
            job, names, self._place, device=self._device, program=self._program, stop=stop
        )
        return Done(results, left_out(manifest, job.bench.variants, self._facts))

    def _refuse_short_memory(self, variants: Sequence[Variant]) -> None:
        """Refuse to begin what would take memory from the application."""
        wanted = needed_bytes(variants)
        free = available_bytes(self._facts.memory_bytes)
        if free < wanted:
            raise LoadFailedError(
                f"{wanted} bytes of memory are needed to time it, {free} are free",
                hint="name fewer variants, or ask another device",
            )

    def _sweep(self) -> None:
        try:
            for name in (FOLDER, ATTEMPT):
                with storing(self._place / name):
                    if (self._place / name).exists():
                        shutil.rmtree(self._place / name)
        except StorageError as error:
            _log.warning("%s", error)
