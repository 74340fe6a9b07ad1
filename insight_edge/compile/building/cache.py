# SPDX-License-Identifier: Apache-2.0
"""Builds by what they depend on, so that profiles with the same processor build once.

A build is kept under the digest of its ingredients (`compile.building.ingredients`), which
lie beside it for those who ask why another was not taken. Files are known by
their stamps, and by digest where a stamp differs; what does not agree is built
again, and so is what said that it was unfinished. Failures are not kept. What
backends keep from build to build lies in `shared/<backend>` and is no part of the
key. Nothing is ever evicted.
"""

import errno
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from insight_edge.bundle.durable import replace_file, sibling, storing
from insight_edge.bundle.write import file_entry
from insight_edge.compile.building.ingredients import Ingredients, ingredients_of
from insight_edge.compile.building.kept import keep_traces
from insight_edge.compile.building.location import BuildLocation, Here
from insight_edge.compile.building.misses import Lookup, why_missed
from insight_edge.compile.building.outcome import BuildLimits, BuildOutcome, Built, Failed
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.toolchains.stamps import Stamp, stamps_of
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.codec import Versioned, decode_json, encode_json
from insight_edge.documents.manifest import FileEntry
from insight_edge.errors import (
    BuildFailedError,
    DigestMismatchError,
    DocumentError,
    StorageError,
)

ENTRY = "build.json"


class CacheEntry(Versioned, frozen=True, kw_only=True):
    """What is remembered of a build beside its files.

    Attributes:
        ingredients: that it was made of.
        stamps: of its files, as they lay when their digests were last taken.
    """

    artifact: Artifact
    ingredients: Ingredients
    stamps: tuple[Stamp, ...]
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
    traces: Path | None = None,
) -> BuildOutcome:
    """Return the kept build of a job, or build it; see `build`.

    Args:
        job: what to build.
        cache: a directory that only this function writes to; several processes may.
        toolchain: what it is built in, as the backend says.
        limits: of a build that has to be made.
        stop: once set, a build that has to be made has failed.
        location: where it is made; in a child process here for None.
        traces: new directory for all that the build leaves behind, whatever becomes of it. It is
            then made even where one is kept: that has left nothing.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    ingredients = ingredients_of(job, toolchain)
    place = _place(cache, ingredients)
    known = None if traces is not None else _read(place)
    if known is not None and not known.artifact.unfinished:
        return known
    job = msgspec.structs.replace(
        job, shared=shared_place(cache, job.target.backend), keep=traces is not None
    )
    staged = sibling(place)
    try:
        where = location or Here(python=toolchain.python)
        outcome = where.build(job, staged, limits=limits, stop=stop)
        if traces is not None:
            keep_traces(staged, traces, outcome)
        if isinstance(outcome, Failed):
            return outcome
        return _keep(outcome, staged, place, ingredients)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def shared_place(cache: Path, backend: str) -> str:
    """Return the directory of a cache in which a backend keeps what makes later builds better."""
    return str(cache.absolute() / "shared" / backend)


def explain_miss(job: BuildJob, cache: Path, toolchain: Toolchain) -> Lookup:
    """Return whether `build_once` would take a kept build, and why it would not."""
    wanted = ingredients_of(job, toolchain)
    known = _read(_place(cache, wanted))
    if known is None:
        return Lookup(state="miss", why=why_missed(wanted, tuple(_kept_ingredients(cache))))
    unfinished = known.artifact.unfinished
    if unfinished:
        return Lookup(state="miss", why=(f"what is kept is unfinished, {unfinished}",))
    return Lookup(state="hit")


@contextmanager
def forgotten_if_damaged(built: Built) -> Iterator[None]:
    """Remove a kept build whose files prove within to be others than their digests say.

    Raises:
        BuildFailedError: they did; the next compilation builds it again.
    """
    try:
        yield
    except DigestMismatchError as error:
        shutil.rmtree(built.directory.parent, ignore_errors=True)
        raise BuildFailedError(
            f"what was kept of it is damaged and was removed: {error}", hint="compile once more"
        ) from error


def build_key(job: BuildJob, toolchain: Toolchain) -> str:
    """Return the digest of everything that the artifact of a job depends on."""
    return ingredients_of(job, toolchain).key


def _place(cache: Path, ingredients: Ingredients) -> Path:
    return cache.absolute() / ingredients.key[len("sha256:") :]


def _keep(built: Built, staged: Path, place: Path, ingredients: Ingredients) -> Built:
    """Give a fresh build its place; where another process was first, theirs is as good.

    An unfinished one that is in the place goes: whoever is still reading it sees by the digests.
    """
    with storing(staged):
        stamps = stamps_of(staged / "artifact", (entry.path for entry in built.files))
    entry = CacheEntry(
        artifact=built.artifact,
        ingredients=ingredients,
        stamps=stamps,
        files=built.files,
        build_s=built.build_s,
        peak_rss_bytes=built.peak_rss_bytes,
        log=built.log,
    )
    replace_file(staged / ENTRY, encode_json(entry))
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
        entry = decode_json(CacheEntry, (place / ENTRY).read_bytes())
        agrees = _agrees(entry, place)
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


def _agrees(entry: CacheEntry, place: Path) -> bool:
    """Return whether the files are those of the entry; where they were moved, stamp them anew.

    Raises:
        OSError, DocumentError: a file is not there or cannot be read.
    """
    folder = place / "artifact"
    stamps = stamps_of(folder, (file.path for file in entry.files))
    if stamps == entry.stamps:
        return True
    if any(file_entry(file.path, folder / file.path) != file for file in entry.files):
        return False
    # Of a cache that cannot be written every file is read each time.
    with suppress(StorageError):
        replace_file(place / ENTRY, encode_json(msgspec.structs.replace(entry, stamps=stamps)))
    return True


def _kept_ingredients(cache: Path) -> Iterator[Ingredients]:
    """Yield those of all builds that are kept, the newest first; what cannot be read is none."""
    for path in sorted(cache.glob(f"[!.]*/{ENTRY}"), key=_age, reverse=True):
        with suppress(OSError, DocumentError):
            yield decode_json(CacheEntry, path.read_bytes()).ingredients


def _age(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
