# SPDX-License-Identifier: Apache-2.0
"""Builds on another machine, through a folder that both can reach.

    jobs/<id>/      job.json, model.onnx, and what else it    the workshop writes, by rename
                    names: original.bin, calibration.npz
    taken/<id>/     the same, once a device has taken it        the device renames
    answers/<id>/   answer.json, and the artifact's files       the device writes, by rename

A folder is whole as soon as it is there. Nothing that comes back is believed:
job, names, lengths and digests are checked, and no more is read than the limits
allow. Who may write to the folder is not decided here.
"""

import os
import secrets
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from insight_edge.bundle.durable import storing
from insight_edge.bundle.write import file_entry
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.location import BuildLocation
from insight_edge.compile.outcome import BuildLimits, BuildOutcome, Built, Failed
from insight_edge.documents.codec import (
    MAX_DOCUMENT_BYTES,
    Versioned,
    decode_json,
    digest,
    encode_json,
)
from insight_edge.documents.manifest import FileEntry
from insight_edge.errors import BuildFailedError, DocumentError

POLL_S = 0.05

JOB, ANSWER = "job.json", "answer.json"
CARRIED = {"model": "model.onnx", "original": "original.bin", "calibration": "calibration.npz"}
"""The files that a job may name, by the field that names them."""


class Answer(Versioned, frozen=True, kw_only=True):
    """What a device says of a job.

    Attributes:
        job_digest: of the job document that it took.
        artifact: None where the build failed.
        files: of the artifact, beside the answer.
        reason: why it failed.
    """

    job_digest: str
    artifact: Artifact | None = None
    files: tuple[FileEntry, ...] = ()
    reason: str = ""
    build_s: float = 0.0
    peak_rss_bytes: int = 0
    log: str = ""


@dataclass(frozen=True, kw_only=True)
class Spool:
    """The workshop's side: a location that waits for a device to answer."""

    folder: Path

    def build(
        self,
        job: BuildJob,
        directory: Path,
        *,
        limits: BuildLimits | None = None,
        stop: threading.Event | None = None,
    ) -> BuildOutcome:
        """Hand a job out and return what a device made of it; see `BuildLocation`."""
        limits, started = limits or BuildLimits(), time.monotonic()
        with storing(directory):
            directory.mkdir(parents=True, exist_ok=True)
            if any(directory.iterdir()):
                raise ValueError(f"{directory} is not empty")
            name = secrets.token_hex(8)
            asked = self._hand_out(job, name)
        try:
            answer = self._await(name, limits, stop or threading.Event())
            return _taken_over(answer, asked, self.folder / "answers" / name, directory, limits)
        except (BuildFailedError, DocumentError) as error:
            shutil.rmtree(directory / "artifact", ignore_errors=True)
            build_s = time.monotonic() - started
            return Failed(reason=str(error), build_s=build_s, peak_rss_bytes=0, log="")
        finally:
            for place in ("jobs", "taken", "answers"):
                shutil.rmtree(self.folder / place / name, ignore_errors=True)

    def _hand_out(self, job: BuildJob, name: str) -> str:
        """Write the parcel of a job and return the digest of its document."""
        staged, place = self.folder / "staged" / name, self.folder / "jobs" / name
        staged.mkdir(parents=True)
        place.parent.mkdir(exist_ok=True)
        named = _named(job)
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
            BuildFailedError: it did not come in time, or nobody wants it any more.
            DocumentError: it is malformed.
        """
        place, deadline = self.folder / "answers" / name, time.monotonic() + limits.wall_s
        while not place.is_dir():
            if time.monotonic() > deadline:
                taken = (self.folder / "taken" / name).is_dir()
                who = "the device that took it" if taken else "any device"
                raise BuildFailedError(f"no answer from {who} within {limits.wall_s:g} s")
            if stop.wait(POLL_S):
                raise BuildFailedError("stopped")
        return decode_json(Answer, _bytes_within(place / ANSWER, MAX_DOCUMENT_BYTES))


def take_one(folder: Path, location: BuildLocation, scratch: Path) -> bool:
    """Do one waiting job of a spool on this device and answer it; return whether there was one.

    Args:
        folder: of the spool.
        location: that builds here.
        scratch: an empty directory, for this job alone.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    taken = _claim(folder)
    if taken is None:
        return False
    with storing(folder):
        answer = _done(taken, location, scratch)
        staged = folder / "staged" / f"{taken.name}.answer"
        staged.mkdir(parents=True)
        for entry in answer.files:
            shutil.copyfile(scratch / "build" / "artifact" / entry.path, staged / entry.path)
        (staged / ANSWER).write_bytes(encode_json(answer))
        place = folder / "answers" / taken.name
        place.parent.mkdir(exist_ok=True)
        staged.rename(place)
    return True


def _claim(folder: Path) -> Path | None:
    """Return a job that only this process has now; the oldest first."""
    jobs, taken = folder / "jobs", folder / "taken"
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


def _done(taken: Path, location: BuildLocation, scratch: Path) -> Answer:
    data = _bytes_within(taken / JOB, MAX_DOCUMENT_BYTES)
    job = decode_json(BuildJob, data)
    found = {field: str((taken / name).absolute()) for field, name in _named(job).items()}
    here = msgspec.structs.replace(job, **found)
    outcome = location.build(here, scratch / "build")
    answer = Answer(
        job_digest=digest(data),
        build_s=outcome.build_s,
        peak_rss_bytes=outcome.peak_rss_bytes,
        log=outcome.log,
    )
    if isinstance(outcome, Failed):
        return msgspec.structs.replace(answer, reason=outcome.reason)
    return msgspec.structs.replace(answer, artifact=outcome.artifact, files=outcome.files)


def _named(job: BuildJob) -> dict[str, str]:
    """Return what the files that a job names are called in its parcel, by field."""
    return {field: name for field, name in CARRIED.items() if getattr(job, field) is not None}


def _taken_over(
    answer: Answer, asked: str, place: Path, directory: Path, limits: BuildLimits
) -> BuildOutcome:
    """Return the outcome that an answer tells, its files copied and checked.

    Raises:
        BuildFailedError: the answer is not what it has to be.
    """
    if answer.job_digest != asked:
        raise BuildFailedError("the device answered another job than it was given")
    if answer.artifact is None:
        return Failed(
            reason=f"on the device: {answer.reason or 'it gave no reason'}",
            build_s=answer.build_s,
            peak_rss_bytes=answer.peak_rss_bytes,
            log=answer.log,
        )
    _check_listing(answer.artifact, answer.files, limits)
    target = directory / "artifact"
    target.mkdir()
    for entry in answer.files:
        with storing(target):
            (target / entry.path).write_bytes(_bytes_within(place / entry.path, entry.length_bytes))
        if file_entry(entry.path, target / entry.path) != entry:
            raise BuildFailedError(f"{entry.path} is not what the device says it sent")
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


def _bytes_within(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file, which has at most so many.

    Raises:
        BuildFailedError: it has more, is no file, or is not there.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (a link must not be followed)
            data = file.read(most + 1)
    except OSError as error:
        raise BuildFailedError(f"{path.name} did not come: {error.strerror}") from error
    if len(data) > most:
        raise BuildFailedError(f"{path.name} has more than {most} bytes")
    return data
