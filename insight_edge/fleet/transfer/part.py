# SPDX-License-Identifier: Apache-2.0
"""A file that is being downloaded: `.<name>.part`, and its hash so far.

It gets its name when all of its bytes are there, are the right ones, and are on
the disk. Until then it may be left at any instant and gone on with later: what
lies there is hashed again, and what a power cut has made of it is found out at
the end.
"""

import hashlib
import os
import shutil
import stat
from pathlib import Path
from typing import Final, Self

from insight_edge.bundle.durable import storing, sync_directory
from insight_edge.bundle.folder import CHUNK_BYTES
from insight_edge.errors import StorageError

SUFFIX: Final = ".part"

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def part_of(destination: Path) -> Path:
    """Return where a file lies until it is whole: a name that no file of a bundle may have."""
    return destination.with_name(f".{destination.name}{SUFFIX}")


class Part:
    """The beginning of a file, open for more; a context manager.

    Args:
        destination: what it is called when it is whole.
        sha256: of the whole, 64 hexadecimal digits.
        length_bytes: of the whole; never is more written.

    Attributes:
        length_bytes: of the whole.
        held_bytes: that are there.

    Raises:
        StorageError: it cannot be opened, read or written; so of every method.
    """

    def __init__(self, destination: Path, *, sha256: str, length_bytes: int) -> None:
        self._destination = destination
        self._path = part_of(destination)
        self._sha256, self.length_bytes = sha256, length_bytes
        with storing(self._path):
            self._fd = os.open(self._path, _FLAGS, 0o600)
        try:
            self._take_up()
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @property
    def left_bytes(self) -> int:
        """How many bytes are missing."""
        return self.length_bytes - self.held_bytes

    def refuse_full_disk(self) -> None:
        """Refuse to go on where there is no room for what is missing."""
        with storing(self._path):
            free_bytes = shutil.disk_usage(self._path.parent).free
        if free_bytes < self.left_bytes:
            raise StorageError(
                f"{self._path}: {self.left_bytes} bytes are missing, {free_bytes} are free",
                hint="free some space and try again",
            )

    def append(self, data: bytes) -> None:
        """Write more bytes behind those that are there.

        Raises:
            ValueError: they are more than are missing.
        """
        if len(data) > self.left_bytes:
            raise ValueError(f"{len(data)} bytes where {self.left_bytes} are missing")
        left = memoryview(data)
        with storing(self._path):
            while left:
                left = left[os.write(self._fd, left) :]
        self._hash.update(data)
        self.held_bytes += len(data)

    def empty(self) -> None:
        """Begin anew."""
        with storing(self._path):
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.ftruncate(self._fd, 0)
        self._hash = hashlib.sha256()
        self.held_bytes = 0

    def remove(self) -> None:
        """Give up what is there, and its room on the disk."""
        with storing(self._path):
            self._path.unlink(missing_ok=True)

    def is_right(self) -> bool:
        """Return whether the whole file is there, and is the one that was asked for."""
        return self.left_bytes == 0 and self._hash.hexdigest() == self._sha256

    def finish(self) -> None:
        """Give the whole file its name."""
        with storing(self._destination):
            os.fsync(self._fd)
            self._path.rename(self._destination)
            sync_directory(self._destination.parent)

    def _take_up(self) -> None:
        """Hash what is there, from the first byte on."""
        self._hash, self.held_bytes = hashlib.sha256(), 0
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            raise StorageError(f"{self._path}: not a regular file")
        if found.st_size > self.length_bytes:
            self.empty()
        with storing(self._path):
            while data := os.read(self._fd, CHUNK_BYTES):
                self._hash.update(data)
                self.held_bytes += len(data)
