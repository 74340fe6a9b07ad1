# SPDX-License-Identifier: Apache-2.0
"""Builds on another machine: the workshop's side of a folder that both can reach.

A job is handed out as a parcel, and its answer awaited for as long as the builder
is heard of. Nothing that comes back is believed: job, names, lengths and digests
are checked, and no more is read than the limits allow.
"""

import secrets
import shutil
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from insight_edge.bundle.durable import storing
from insight_edge.bundle.write import file_entry
from insight_edge.compile.building.outcome import BuildLimits, BuildOutcome, Built, Failed
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.plugins.seam import TUNING
from insight_edge.compile.remote.announcement import SILENT_S, last_beat
from insight_edge.compile.remote.parcel import (
    ANSWER,
    ANSWERS,
    JOB,
    JOBS,
    POLL_S,
    STAGED,
    TAKEN,
    Answer,
    bytes_within,
    carried,
)
from insight_edge.documents.codec import MAX_DOCUMENT_BYTES, decode_json, digest, encode_json
from insight_edge.documents.manifest import FileEntry
from insight_edge.errors import BuildFailedError, DocumentError


@dataclass(frozen=True, kw_only=True)
class Spool:
    """A location that hands jobs out and waits for the builder's answers.

    Attributes:
        folder: that both can reach.
        silent_s: after which a builder that is not heard of is given up.
    """

    folder: Path
    silent_s: float = SILENT_S

    def build(
        self,
        job: BuildJob,
        directory: Path,
        *,
        limits: BuildLimits | None = None,
        stop: threading.Event | None = None,
    ) -> BuildOutcome:
        """Hand a job out and return what the builder made of it; see `BuildLocation`.

        The time that it waits for its turn there is not limited.
        """
        limits, started = limits or BuildLimits(), time.monotonic()
        limits = replace(limits, wall_s=limits.wall_s + float(job.target.options.get(TUNING, 0.0)))
        with storing(directory):
            directory.mkdir(parents=True, exist_ok=True)
            if any(directory.iterdir()):
                raise ValueError(f"{directory} is not empty")
            name = secrets.token_hex(8)
            asked = self._hand_out(job, name)
        try:
            answer = self._await(name, limits, stop or threading.Event())
            return _taken_over(answer, asked, self.folder / ANSWERS / name, directory, limits)
        except (BuildFailedError, DocumentError) as error:
            shutil.rmtree(directory / "artifact", ignore_errors=True)
            build_s = time.monotonic() - started
            return Failed(reason=str(error), build_s=build_s, peak_rss_bytes=0, log="")
        finally:
            for place in (JOBS, TAKEN, ANSWERS):
                shutil.rmtree(self.folder / place / name, ignore_errors=True)

    def _hand_out(self, job: BuildJob, name: str) -> str:
        """Write the parcel of a job and return the digest of its document."""
        staged, place = self.folder / STAGED / name, self.folder / JOBS / name
        staged.mkdir(parents=True)
        place.parent.mkdir(exist_ok=True)
        named = carried(job)
        for field, file in named.items():
            shutil.copyfile(getattr(job, field), staged / file)
        # What builds here share is of no use there.
        sent = msgspec.structs.replace(job, **named, shared=None, keep=False)
        data = encode_json(sent)
        (staged / JOB).write_bytes(data)
        staged.rename(place)
        return digest(data)

    def _await(self, name: str, limits: BuildLimits, stop: threading.Event) -> Answer:
        """Return the answer to a job.

        Raises:
            BuildFailedError: it did not come in time, the builder is gone, or nobody wants it.
            DocumentError: it is malformed.
        """
        place, vigil = self.folder / ANSWERS / name, _Vigil(self.folder, self.silent_s)
        deadline: float | None = None
        while not place.is_dir():
            vigil.look()
            if deadline is None and (self.folder / TAKEN / name).is_dir():
                deadline = time.monotonic() + limits.wall_s
            if deadline is not None and time.monotonic() > deadline:
                raise BuildFailedError(f"no answer from the builder within {limits.wall_s:g} s")
            if stop.wait(POLL_S):
                raise BuildFailedError("stopped")
        return decode_json(Answer, bytes_within(place / ANSWER, MAX_DOCUMENT_BYTES))


class _Vigil:
    """Watches whether the builder of a folder is still heard of, by this machine's clock alone."""

    def __init__(self, folder: Path, silent_s: float) -> None:
        self._folder, self._silent_s = folder, silent_s
        self._heard, self._since = last_beat(folder), time.monotonic()

    def look(self) -> None:
        """Raise once it was silent for too long.

        Raises:
            BuildFailedError: it was.
        """
        heard, now = last_beat(self._folder), time.monotonic()
        if heard != self._heard:
            self._heard, self._since = heard, now
        if now - self._since > self._silent_s:
            raise BuildFailedError(
                f"the builder at {self._folder} was not heard of for {self._silent_s:g} s"
            )


def _taken_over(
    answer: Answer, asked: str, place: Path, directory: Path, limits: BuildLimits
) -> BuildOutcome:
    """Return the outcome that an answer tells, its files copied and checked.

    Raises:
        BuildFailedError: the answer is not what it has to be.
    """
    if answer.job_digest != asked:
        raise BuildFailedError("the builder answered another job than it was given")
    if answer.artifact is None:
        return Failed(
            reason=f"at the builder: {answer.reason or 'it gave no reason'}",
            build_s=answer.build_s,
            peak_rss_bytes=answer.peak_rss_bytes,
            log=answer.log,
        )
    _check_listing(answer.artifact, answer.files, limits)
    target = directory / "artifact"
    target.mkdir()
    for entry in answer.files:
        with storing(target):
            (target / entry.path).write_bytes(bytes_within(place / entry.path, entry.length_bytes))
        if file_entry(entry.path, target / entry.path) != entry:
            raise BuildFailedError(f"{entry.path} is not what the builder says it sent")
    return Built(
        artifact=answer.artifact,
        files=answer.files,
        directory=target,
        build_s=answer.build_s,
        peak_rss_bytes=answer.peak_rss_bytes,
        log=answer.log,
    )


def _check_listing(artifact: Artifact, files: tuple[FileEntry, ...], limits: BuildLimits) -> None:
    names = tuple(entry.path for entry in files)
    if names != artifact.files or artifact.entry not in names or len(set(names)) < len(names):
        raise BuildFailedError("the files sent are not those of the artifact")
    for name in names:
        if Path(name).name != name or name == ANSWER:
            raise BuildFailedError(f"its file '{name}' is not a plain name")
    length_bytes = sum(entry.length_bytes for entry in files)
    if min(entry.length_bytes for entry in files) < 1 or length_bytes > limits.artifact_bytes:
        raise BuildFailedError(
            f"the artifact is {length_bytes} bytes, at most {limits.artifact_bytes} are taken"
        )
