# SPDX-License-Identifier: Apache-2.0
"""Read the files of one directory without being led anywhere else.

Every file is opened relative to the directory's descriptor, without following
links, without waiting on a pipe, and only if it is a regular file. This module
knows no manifest.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from insight_edge.errors import DocumentError, LimitExceededError
from insight_edge.stats.sha256 import sha256

CHUNK_BYTES: Final = 1024 * 1024

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Folder:
    """An open directory of flat files.

    Raises:
        DocumentError: it is not a directory, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _readable(path):
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def names(self, *, at_most: int) -> list[str]:
        """Return the names in the directory, sorted.

        Raises:
            LimitExceededError: there are more.
            DocumentError: it cannot be listed.
        """
        found: list[str] = []
        with _readable(self.path), os.scandir(self._fd) as listing:
            for entry in listing:
                found.append(entry.name)
                if len(found) > at_most:
                    raise LimitExceededError(f"{self.path}: more than {at_most} files")
        return sorted(found)

    def read(self, name: str, *, at_most: int) -> bytes:
        """Return the bytes of a file.

        Raises:
            LimitExceededError: there are more than `at_most`.
            DocumentError: missing, not a regular file, or not readable.
        """
        return b"".join(self.chunks(name, at_most=at_most))

    def length_bytes(self, name: str) -> int:
        """Return the length of a file.

        Raises:
            DocumentError: missing, not a regular file, or not readable.
        """
        with self._open(name) as fd:
            return os.fstat(fd).st_size

    def sha256(self, name: str, *, at_most: int) -> str:
        """Return the hexadecimal SHA-256 of a file, read in chunks.

        Raises:
            LimitExceededError: it is longer than `at_most`.
            DocumentError: missing, not a regular file, or not readable.
        """
        digest = sha256(at_most)
        for part in self.chunks(name, at_most=at_most):
            digest.update(part)
        return digest.hexdigest()

    def chunks(self, name: str, *, at_most: int) -> Iterator[bytes]:
        """Yield the bytes of a file in pieces of at most `CHUNK_BYTES`.

        Raises:
            LimitExceededError: it is longer than `at_most`.
            DocumentError: missing, not a regular file, or not readable.
        """
        left = at_most
        with self._open(name) as fd:
            while True:
                with _readable(self.path / name):
                    part = os.read(fd, CHUNK_BYTES)
                if not part:
                    return
                left -= len(part)
                if left < 0:
                    raise LimitExceededError(f"{self.path / name}: longer than {at_most} bytes")
                yield part

    @contextmanager
    def _open(self, name: str) -> Iterator[int]:
        path = self.path / name
        with _readable(path):
            fd = os.open(name, _FLAGS, dir_fd=self._fd)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise DocumentError(f"{path}: not a regular file")
            yield fd
        finally:
            os.close(fd)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DocumentError(f"{path}: links are not followed") from error
        raise DocumentError(f"{path}: {(error.strerror or str(error)).lower()}") from error
