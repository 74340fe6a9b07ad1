# SPDX-License-Identifier: Apache-2.0
"""The builder: a process that builds what other machines hand to a folder.

It runs where the hardware or the toolchain is that they have not. One job at a
time, in a child process within this machine's own limits. Only backends that
are installed here are run, whatever a job names; a job that nobody waits for any
more is stopped.
"""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from insight_edge.bench.machine import machine_facts
from insight_edge.bundle.claim import Claim
from insight_edge.bundle.durable import storing
from insight_edge.compile.building.cache import shared_place
from insight_edge.compile.building.location import BuildLocation, Here
from insight_edge.compile.building.outcome import BuildLimits, BuildOutcome, Failed
from insight_edge.compile.job import BuildJob
from insight_edge.compile.plugins.discovery import backend_plugin, backends
from insight_edge.compile.remote.announcement import (
    BEAT_S,
    announce,
    announcement_of,
    beat,
    retract,
)
from insight_edge.compile.remote.parcel import (
    ANSWER,
    ANSWERS,
    JOB,
    JOBS,
    STAGED,
    TAKEN,
    Answer,
    bytes_within,
    carried,
)
from insight_edge.documents.codec import MAX_DOCUMENT_BYTES, decode_json, digest, encode_json
from insight_edge.documents.facts import Missing
from insight_edge.errors import BuildFailedError, DocumentError

LOOK_S = 0.5
"""How often a builder looks for work."""

Tell = Callable[[str], None]


class Installed:
    """A location that builds with the backends of this machine, in their own environments."""

    def build(
        self,
        job: BuildJob,
        directory: Path,
        *,
        limits: BuildLimits | None = None,
        stop: threading.Event | None = None,
    ) -> BuildOutcome:
        """Build a job; see `BuildLocation`. A backend that is not installed here has failed."""
        try:
            python = _interpreter(job)
        except BuildFailedError as error:
            return _failed(str(error))
        return Here(python=python).build(job, directory, limits=limits, stop=stop)


@dataclass(frozen=True, kw_only=True)
class Builder:
    """The builder of a folder.

    Attributes:
        folder: that both can reach.
        location: that builds here.
        cache: in which backends keep what makes later builds better; None where they keep nothing.
        tell: called with a few words about every job.
        stop: once set, the job under way is given up and no other taken.
    """

    folder: Path
    location: BuildLocation = field(default_factory=Installed)
    cache: Path | None = None
    tell: Tell = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)

    def work(self, *, once: bool = False) -> None:
        """Take jobs until told to stop; or one, as soon as there is one.

        Raises:
            ConfigurationError: another builder works in the folder.
            StorageError: the folder cannot be written.
        """
        claim = Claim(self.folder, "builder")
        try:
            announce(self.folder, announcement_of(machine_facts()))
            self._answer_leftovers()
            with _repeating(BEAT_S, lambda: beat(self.folder)):
                while not self.stop.is_set():
                    if self._take_one() and once:
                        return
                    self.stop.wait(LOOK_S)
        finally:
            retract(self.folder)
            claim.release()

    def _answer_leftovers(self) -> None:
        """Answer the jobs that an earlier builder ended with; one may be what ended it."""
        taken = self.folder / TAKEN
        for place in sorted(taken.iterdir()) if taken.is_dir() else ():
            self._answer(place, _failed("the builder ended while it built this"))

    def _take_one(self) -> bool:
        taken = _claimed_job(self.folder)
        if taken is None:
            return False
        with tempfile.TemporaryDirectory(prefix="insight-edge-builder-") as scratch:
            try:
                job = decode_json(BuildJob, bytes_within(taken / JOB, MAX_DOCUMENT_BYTES))
            except (BuildFailedError, DocumentError) as error:
                outcome: BuildOutcome = _failed(f"the job cannot be read: {error}")
                name = taken.name
            else:
                name = f"{job.target.token} of {job.model_digest[:19]}"
                self.tell(f"{name}: building")
                outcome = self._built(job, taken, Path(scratch) / "build")
            self._answer(taken, outcome)
        words = f"failed, {outcome.reason}" if isinstance(outcome, Failed) else "built"
        self.tell(f"{name}: {words} ({outcome.build_s:.1f} s)")
        return True

    def _built(self, job: BuildJob, taken: Path, place: Path) -> BuildOutcome:
        """Build until it is done, or nobody waits for it any more."""
        found = {name: str((taken / file).absolute()) for name, file in carried(job).items()}
        shared = None if self.cache is None else shared_place(self.cache, job.target.backend)
        here = msgspec.structs.replace(job, **found, shared=shared, keep=False)
        unwanted = threading.Event()

        def look() -> None:
            if self.stop.is_set() or not taken.is_dir():
                unwanted.set()

        with _repeating(LOOK_S, look):
            return self.location.build(here, place, stop=unwanted)

    def _answer(self, taken: Path, outcome: BuildOutcome) -> None:
        """Leave the answer to a job, unless nobody waits for it any more."""
        answer = _answer_of(taken, outcome)
        staged = self.folder / STAGED / f"{taken.name}.answer"
        place = self.folder / ANSWERS / taken.name
        with storing(self.folder):
            staged.mkdir(parents=True)
            if not isinstance(outcome, Failed):
                for entry in answer.files:
                    shutil.copyfile(outcome.directory / entry.path, staged / entry.path)
            (staged / ANSWER).write_bytes(encode_json(answer))
            place.parent.mkdir(exist_ok=True)
            if taken.is_dir():
                staged.rename(place)
        shutil.rmtree(staged, ignore_errors=True)
        shutil.rmtree(taken, ignore_errors=True)


def _failed(reason: str) -> Failed:
    return Failed(reason=reason, build_s=0.0, peak_rss_bytes=0, log="")


@contextmanager
def _repeating(every_s: float, action: Callable[[], None]) -> Iterator[None]:
    """Do something again and again in a thread of its own, until the end of the block."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s):
            action()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _interpreter(job: BuildJob) -> str:
    """Return the interpreter that has the toolchain of a job.

    Raises:
        BuildFailedError: its backend or toolchain is not installed here.
    """
    token = job.target.backend
    backend = backends().get(token)
    if backend is None or job.plugin != backend_plugin(token):
        raise BuildFailedError(f"no backend '{token}' from {job.plugin} is installed there")
    toolchain = backend if isinstance(backend, Missing) else backend.toolchain()
    if isinstance(toolchain, Missing):
        raise BuildFailedError(f"toolchain missing: {toolchain.reason}")
    return toolchain.python


def _claimed_job(folder: Path) -> Path | None:
    """Return a job that is this builder's now; the oldest first."""
    jobs, taken = folder / JOBS, folder / TAKEN
    with storing(folder):
        taken.mkdir(parents=True, exist_ok=True)
        waiting = sorted(jobs.iterdir(), key=_age) if jobs.is_dir() else []
    for place in waiting:
        try:
            return place.rename(taken / place.name)
        except OSError:
            continue
    return None


def _age(place: Path) -> tuple[int, str]:
    try:
        return place.stat().st_mtime_ns, place.name
    except FileNotFoundError:
        return 0, place.name


def _answer_of(taken: Path, outcome: BuildOutcome) -> Answer:
    try:
        asked = digest(bytes_within(taken / JOB, MAX_DOCUMENT_BYTES))
    except BuildFailedError:
        asked = ""
    answer = Answer(
        job_digest=asked,
        build_s=outcome.build_s,
        peak_rss_bytes=outcome.peak_rss_bytes,
        log=outcome.log,
    )
    if isinstance(outcome, Failed):
        return msgspec.structs.replace(answer, reason=outcome.reason)
    return msgspec.structs.replace(answer, artifact=outcome.artifact, files=outcome.files)
