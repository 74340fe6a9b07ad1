# SPDX-License-Identifier: Apache-2.0
"""Writes that a power cut does not undo: write aside, fsync, rename, fsync the directory.

A name is never given to bytes that are not on the disk yet. Foreign errors of
the writing side become `StorageError` here and nowhere else.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from insight_edge.errors import StorageError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn what the operating system says about writing `path` into one clear line.

    Raises:
        StorageError: the disk is full, read-only, failing or not ours to write.
    """
    try:
        yield
    except OSError as error:
        hint = "free some space and try again" if error.errno in _FULL else None
        raise StorageError(
            f"{path}: cannot be written: {(error.strerror or str(error)).lower()}", hint=hint
        ) from error


def sibling(path: Path) -> Path:
    """Return a fresh hidden name beside `path`, on the same file system."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}")


def write_file(path: Path, parts: Iterable[bytes], *, mode: int = 0o644) -> None:
    """Write a new file and wait until its bytes are on the disk.

    Raises:
        OSError: it exists, or cannot be written.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        for part in parts:
            left = memoryview(part)
            while left:
                left = left[os.write(fd, left) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory are on the disk.

    Raises:
        OSError: it cannot be opened or flushed.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Give `path` new contents; after a crash it holds the old or the new, whole.

    Of several processes that do so at once, the last wins. What a crash leaves
    has a name of `sibling`, for the owner of the directory to sweep up.

    Raises:
        StorageError: the disk is full or cannot be written; the old contents stay.
    """
    staged = sibling(path)
    with storing(path):
        try:
            write_file(staged, [data], mode=mode)
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
        sync_directory(path.parent)
