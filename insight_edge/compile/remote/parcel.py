# SPDX-License-Identifier: Apache-2.0
"""What two machines hand each other through a folder: a job with its files, and the answer.

    jobs/<id>/      job.json, model.onnx, and what else it    the workshop writes, by rename
                    names: original.bin, calibration.npz
    taken/<id>/     the same, once the builder has taken it   the builder renames
    answers/<id>/   answer.json, and the artifact's files     the builder writes, by rename
    builder.json    the builder's announcement, touched       the builder writes
                    every few seconds (`announcement`)

A folder is whole as soon as it is there. Here is what both sides agree on; what
they do with it is in `compile.remote.spool` (workshop) and `compile.remote.builder`. Who may
write to the folder is not decided here.
"""

import os
from pathlib import Path

from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.documents.codec import Versioned
from insight_edge.documents.manifest import FileEntry
from insight_edge.errors import BuildFailedError

POLL_S = 0.05

JOB, ANSWER = "job.json", "answer.json"
JOBS, TAKEN, ANSWERS, STAGED = "jobs", "taken", "answers", "staged"

CARRIED = {"model": "model.onnx", "original": "original.bin", "calibration": "calibration.npz"}
"""The files that a job may name, by the field that names them."""


class Answer(Versioned, frozen=True, kw_only=True):
    """What a builder says of a job.

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


def carried(job: BuildJob) -> dict[str, str]:
    """Return what the files that a job names are called in its parcel, by field."""
    return {field: name for field, name in CARRIED.items() if getattr(job, field) is not None}


def bytes_within(path: Path, most: int) -> bytes:
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
