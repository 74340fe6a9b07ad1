# SPDX-License-Identifier: Apache-2.0
"""An engine's cache: what it compiled an artifact into, in a file, to be loaded the next time.

    SHA-256 of all that follows · SHA-256 of what the cache is bound to · what the engine made

A cache is for one artifact, one release of its engine, one processor and one way to load it.
Whatever is not that cache, whole, in a file that nobody else can write, counts as no cache: it is
made anew. Nothing here raises: who has no cache compiles. Nothing is compiled here either.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from insight_edge.bundle.durable import replace_file, storing
from insight_edge.bundle.limits import MIB
from insight_edge.bundle.open import Bundle
from insight_edge.documents.manifest import Variant
from insight_edge.errors import StorageError
from insight_edge.runtime.logs import logger
from insight_edge.runtime.processor import processor_name
from insight_edge.runtime.seam import Session
from insight_edge.stats.sha256 import hexdigest

MAX_BYTES: Final = 64 * MIB
"""Of one file. OpenVINO's hold no weights and are well below one; kernels of a GPU are some."""

_HEAD: Final = 64
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class CachedSession(Session, Protocol):
    """A session that can tell what was compiled for it."""

    def cache(self) -> bytes:
        """Return what `Caching.load_cached` takes, once the session has answered."""
        ...


@runtime_checkable
class Caching(Protocol):
    """An engine that compiles an artifact when it loads it, and can load what it made of it."""

    def cache_options(self, variant: Variant, *, threads: int) -> Iterable[str]:
        """Return what a cache depends on besides artifact, release, processor and threads."""
        ...

    def load_cached(
        self, bundle: Bundle, variant: Variant, cache: bytes | None, *, threads: int
    ) -> CachedSession:
        """Return a session on a cache; for None on the artifact, such that it has a cache."""
        ...


class CacheFile:
    """Where the cache of one artifact is kept.

    Args:
        path: of the file.
        bound_to: everything that the cache depends on.
    """

    def __init__(self, path: Path, bound_to: Iterable[str]) -> None:
        self._path = path
        self._bound_to = _digest("\n".join(bound_to).encode())

    def read(self) -> bytes | None:
        """Return the cache, None where there is none that may be loaded."""
        try:
            data = _read(self._path)
        except OSError as error:
            _log_unless_absent(self._path, error)
            return None
        whole = len(data) > _HEAD and data[:32] == _digest(data[32:])
        return data[_HEAD:] if whole and data[32:_HEAD] == self._bound_to else None

    def keep(self, cache: bytes) -> None:
        """Keep a cache in place of whatever was there, if it is within bounds and there is room."""
        if not 0 < len(cache) <= MAX_BYTES - _HEAD:
            logger(__name__).info("%s: not kept: %d bytes", self._path, len(cache))
            return
        rest = self._bound_to + cache
        try:
            with storing(self._path):
                for left in self._path.parent.glob(f".{self._path.name}.*"):  # by a crash
                    left.unlink()
            replace_file(self._path, _digest(rest) + rest, mode=0o600)
        except StorageError as error:
            logger(__name__).warning("not kept, so it is compiled at every load: %s", error)


def forget_cache(path: Path) -> bool:
    """Remove a kept cache and return whether there was one."""
    try:
        path.unlink()
    except OSError as error:
        _log_unless_absent(path, error)
        return False
    return True


def cache_file(
    path: Path, variant: Variant, engine: Caching, release: str, *, threads: int
) -> CacheFile:
    """Return the file of the cache that a release of an engine makes of a variant here."""
    bound_to = (
        variant.target.backend,
        release,
        processor_name(),
        f"{threads} threads",
        *engine.cache_options(variant, threads=threads),
        *(f"{name}={value}" for name, value in sorted(variant.settings.items())),
        *(f"{file.sha256} {file.path}" for file in variant.files),
    )
    return CacheFile(path, bound_to)


def _digest(data: bytes) -> bytes:
    return bytes.fromhex(hexdigest(data))


def _read(path: Path) -> bytes:
    """Return the bytes of a regular file that nobody but its owner, who is us, can write.

    Raises:
        OSError: it is not such a file, is too long, or cannot be read.
    """
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            raise OSError(f"{path}: not a file of at most {MAX_BYTES} bytes")
        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_MAY_WRITE:
            raise PermissionError(f"{path}: others may write it")
        return file.read(MAX_BYTES)


def _log_unless_absent(path: Path, error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        logger(__name__).warning("%s: a kept cache is of no use: %s", path, error)
