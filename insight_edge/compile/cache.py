# SPDX-License-Identifier: Apache-2.0
"""Builds by what they depend on, so that profiles with the same processor build once.

A build is cached under the digest of its job, the toolchain's versions and the
processor of this machine. Files are checked by digest each time; what does not
agree is built again, and so is what said that it was unfinished. Failures are
not kept. What backends keep from build to build lies in `shared/<backend>` and is
no part of the digest. Nothing is ever evicted.
"""

import errno
import platform
import shutil
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from insight_edge import __version__
from insight_edge.bundle.durable import replace_file, sibling, storing
from insight_edge.bundle.write import file_entry
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.location import BuildLocation, Here
from insight_edge.compile.outcome import BuildLimits, BuildOutcome, Built, Failed
from insight_edge.compile.toolchain import Toolchain
from insight_edge.documents.codec import Versioned, decode_json, digest, encode_json, to_plain
from insight_edge.documents.manifest import FileEntry
from insight_edge.errors import DocumentError
from insight_edge.runtime.processor import isa_extensions


class CacheEntry(Versioned, frozen=True, kw_only=True):
    """What is remembered of a build beside its files."""

    artifact: Artifact
    files: tuple[FileEntry, ...]
    build_s: float
    peak_rss_bytes: int
    log: str


def build_once(
    job: BuildJob,
    cache: Path,
    toolchain: Toolchain,
    *,
    limits: BuildLimits | None = None,
    stop: threading.Event | None = None,
    location: BuildLocation | None = None,
) -> BuildOutcome:
    """Return the cached build of a job, or build it; see `build`.

    Args:
        job: what to build.
        cache: a directory that only this function writes to; several processes may.
        toolchain: what it is built in, as the backend says.
        limits: of a build that has to be made.
        stop: once set, a build that has to be made has failed.
        location: where it is made; in a child process here for None.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    place = cache.absolute() / build_key(job, toolchain.versions)[len("sha256:") :]
    known = _read(place)
    if known is not None and not known.artifact.unfinished:
        return known
    shared = cache.absolute() / "shared" / job.target.backend
    job = msgspec.structs.replace(job, shared=str(shared))
    staged = sibling(place)
    try:
        where = location or Here(python=toolchain.python)
        outcome = where.build(job, staged, limits=limits, stop=stop)
        return outcome if isinstance(outcome, Failed) else _keep(outcome, staged, place)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def build_key(job: BuildJob, toolchain: Mapping[str, str]) -> str:
    """Return the digest of everything that the artifact of a job depends on."""
    where_it_lay = {"model": "", "calibration": None, "shared": None}
    depends_on = {
        "job": to_plain(job) | where_it_lay,
        "toolchain": dict(toolchain),
        "insight_edge": __version__,
        "machine": [platform.machine(), *sorted(isa_extensions())],
    }
    return digest(msgspec.json.encode(depends_on, order="sorted"))


def _keep(built: Built, staged: Path, place: Path) -> Built:
    """Give a fresh build its place; where another process was first, theirs is as good.

    An unfinished one that is in the place goes: whoever is still reading it sees by the digests.
    """
    entry = CacheEntry(
        artifact=built.artifact,
        files=built.files,
        build_s=built.build_s,
        peak_rss_bytes=built.peak_rss_bytes,
        log=built.log,
    )
    replace_file(staged / "build.json", encode_json(entry))
    old = _read(place)
    with storing(place):
        if old is not None and old.artifact.unfinished:
            shutil.rmtree(place)
        try:
            staged.rename(place)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
    return replace(built, directory=place / "artifact")


def _read(place: Path) -> Built | None:
    """Return the build in its place; remove one that is damaged."""
    try:
        entry = decode_json(CacheEntry, (place / "build.json").read_bytes())
        agrees = all(file_entry(f.path, place / "artifact" / f.path) == f for f in entry.files)
    except (OSError, DocumentError):
        agrees = False
    if not agrees:
        shutil.rmtree(place, ignore_errors=True)
        return None
    return Built(
        artifact=entry.artifact,
        files=entry.files,
        directory=place / "artifact",
        build_s=entry.build_s,
        peak_rss_bytes=entry.peak_rss_bytes,
        log=entry.log,
        cached=True,
    )
