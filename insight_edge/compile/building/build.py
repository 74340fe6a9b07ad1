# SPDX-License-Identifier: Apache-2.0
"""Run one build in a child process within limits; whatever becomes of it is data.

A build that crashes, hangs, takes all memory, or ends well and leaves nothing
is a `Failed` with one line that says so. The child leads its own process group,
and nothing of that is alive afterwards. Whether an artifact is any good is not
asked here (`compile.trials.verify` does).
"""

import os
import re
import shutil
import signal
import stat
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from insight_edge.bundle.durable import storing
from insight_edge.bundle.write import file_entry
from insight_edge.compile.building.outcome import BuildLimits, BuildOutcome, Built, Failed
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.plugins.seam import TUNING
from insight_edge.compile.toolchains.bounds import DISK_FULL_EXIT_CODE
from insight_edge.compile.toolchains.gist import gist
from insight_edge.compile.toolchains.processes import Watched, child, watch
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.manifest import FileEntry
from insight_edge.errors import BuildFailedError, DocumentError, StorageError

LOG_TAIL_BYTES = 4096
FULL_BYTES = 1024 * 1024
"""With less left a disk is full, whatever the toolchain made of the failed write."""

_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def build(
    job: BuildJob,
    directory: Path,
    *,
    limits: BuildLimits | None = None,
    python: str = sys.executable,
    stop: threading.Event | None = None,
) -> BuildOutcome:
    """Build a job in a child process and return what became of it.

    The calling thread must live as long as the call: the kernel kills the child with it.

    Args:
        job: what to build; its paths are absolute.
        directory: new or empty; gets `job.json`, `build.log` and, when built, `artifact/`. Of a
            job that keeps, `tmp` and what a failed build wrote of its artifact stay, too.
        limits: beyond which the child is killed; the time that it is to tune for comes on top.
        python: interpreter of the environment that has the toolchain.
        stop: once set, the child is killed and the build has failed.

    Raises:
        StorageError: the disk is full or cannot be written, so that no target could be built.
        ValueError: the directory is not empty.
    """
    limits = limits or BuildLimits()
    limits = replace(limits, wall_s=limits.wall_s + float(job.target.options.get(TUNING, 0.0)))
    started = time.monotonic()
    with storing(directory):
        _prepare(job, directory)
        returncode, seen = _run(job, directory, limits, python, stop or threading.Event())
    build_s = time.monotonic() - started
    log = _tail(directory / "build.log")
    try:
        _refuse_end(returncode, seen.stopped, directory, log)
        artifact, files = _collect(directory, limits)
    except (BuildFailedError, StorageError) as error:
        if not job.keep:
            shutil.rmtree(directory / "artifact")
        if isinstance(error, StorageError):
            raise
        peak = seen.peak_rss_bytes
        return Failed(reason=str(error), build_s=build_s, peak_rss_bytes=peak, log=log)
    return Built(
        artifact=artifact,
        files=files,
        directory=directory / "artifact",
        build_s=build_s,
        peak_rss_bytes=seen.peak_rss_bytes,
        log=log,
    )


def _prepare(job: BuildJob, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise ValueError(f"{directory} is not empty")
    for name in ("artifact", "tmp"):
        (directory / name).mkdir()
    (directory / "job.json").write_bytes(encode_json(job))


def _run(
    job: BuildJob, directory: Path, limits: BuildLimits, python: str, stop: threading.Event
) -> tuple[int, Watched]:
    """Return how the child ended: its code, and why it was ended where it was."""
    paths = (str(directory / name) for name in ("job.json", "artifact", "artifact.json"))
    bounds = (str(os.getpid()), str(limits.artifact_bytes))
    command = [python, "-P", "-m", "insight_edge.compile.building.child", *paths, *bounds]
    # Sets have one order in every build, and what a killed toolchain leaves lies in `tmp`.
    fixed = {"PYTHONHASHSEED": "0", "TMPDIR": str(directory / "tmp")}
    try:
        with child(command, directory, log="build.log", fixed=fixed) as process:
            seen = watch(
                process.pid, wall_s=limits.wall_s, memory_bytes=limits.memory_bytes, stop=stop
            )
    finally:
        if not job.keep:
            shutil.rmtree(directory / "tmp")
    return process.returncode, seen


def _refuse_end(returncode: int, stopped: str | None, directory: Path, log: str) -> None:
    """Raise unless the child ended well.

    Raises:
        BuildFailedError: why not.
        StorageError: for lack of space.
    """
    if stopped is not None:
        raise BuildFailedError(stopped)
    if returncode == 0:
        return
    space = os.statvfs(directory)
    if returncode == DISK_FULL_EXIT_CODE or space.f_bavail * space.f_frsize < FULL_BYTES:
        raise StorageError(f"{directory}: the disk is full", hint="free some space and try again")
    if returncode < 0:
        number = -returncode
        raise BuildFailedError(f"killed by signal {number} ({signal.strsignal(number)})")
    raise BuildFailedError(f"exit code {returncode}: {gist(log)}")


def _collect(directory: Path, limits: BuildLimits) -> tuple[Artifact, tuple[FileEntry, ...]]:
    """Return what the child says it built, after looking.

    Raises:
        BuildFailedError: it is not there, or is not what an artifact may be.
    """
    try:
        artifact = decode_json(Artifact, (directory / "artifact.json").read_bytes())
    except FileNotFoundError as error:
        raise BuildFailedError("exited normally without an artifact") from error
    except DocumentError as error:
        raise BuildFailedError(f"exited normally with a malformed answer: {error}") from error
    if artifact.entry not in artifact.files:
        raise BuildFailedError(f"its entry '{artifact.entry}' is not one of its files")
    for name in artifact.files:
        _refuse_stray(directory / "artifact", name)
    files = tuple(file_entry(name, directory / "artifact" / name) for name in artifact.files)
    length_bytes = sum(entry.length_bytes for entry in files)
    if length_bytes > limits.artifact_bytes:
        raise BuildFailedError(
            f"the artifact is {length_bytes} bytes, at most {limits.artifact_bytes} are taken"
        )
    return artifact, files


def _refuse_stray(directory: Path, name: str) -> None:
    """Raise unless `name` is a non-empty regular file right in the directory."""
    if Path(name).name != name:
        raise BuildFailedError(f"its file '{name}' is not a plain name")
    try:
        status = (directory / name).lstat()
    except FileNotFoundError as error:
        raise BuildFailedError(f"exited normally without an artifact: no {name}") from error
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        raise BuildFailedError(f"exited normally without an artifact: {name} is no file, or empty")


def _tail(path: Path) -> str:
    """Return the last lines of a log, without what only a terminal understands."""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
        return _TERMINAL_CODES.sub("", log.read().decode(errors="replace")).strip()
