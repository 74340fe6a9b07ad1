# SPDX-License-Identifier: Apache-2.0
"""Bytes kept under their own digest: written once, verified whenever they are read.

The one module that knows obstore. It keeps no names; a domain's tables do.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore

from insight_cloud.platform.errors import NotFoundError
from insight_cloud.platform.schema import TENANT
from insight_edge.documents.codec import digest
from insight_edge.errors import DigestMismatchError, DocumentError, StorageError

PART_BYTES = 1024 * 1024
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class Blobs:
    """A store of blobs; several processes may use one folder at once."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def put(self, data: bytes) -> str:
        """Keep some bytes and return their digest; bytes already kept are not written again.

        A blob found damaged (by a power cut while it was written) is replaced.

        Raises:
            StorageError: the disk is full or cannot be written; nothing partial can be read.
        """
        name = digest(data)
        with _storing(name):
            try:
                obstore.put(self._store, blob_key(name), data, mode="create")
            except AlreadyExistsError:
                if self._read(name) != data:
                    obstore.put(self._store, blob_key(name), data, mode="overwrite")
        return name

    def get(self, name: str) -> bytes:
        """Return the bytes with that digest.

        Raises:
            DocumentError: `name` is not a digest.
            NotFoundError: no such blob is kept.
            DigestMismatchError: the bytes on disk are not the ones that were put.
            StorageError: the store cannot be read.
        """
        with _storing(name):
            data = self._read(name)
        if digest(data) != name:
            raise DigestMismatchError(
                f"blob {name} is damaged", hint="restore the blob store from its backup"
            )
        return data

    def length_bytes(self, name: str) -> int:
        """Return how long a blob is.

        Raises:
            DocumentError, NotFoundError, StorageError: as `get`.
        """
        with _storing(name):
            return int(obstore.head(self._store, blob_key(name))["size"])

    def part(self, name: str, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to `end`, not compared with the digest.

        Raises:
            DocumentError, NotFoundError, StorageError: as `get`.
        """
        with _storing(name):
            return bytes(obstore.get_range(self._store, blob_key(name), start=start, end=end))

    def parts(self, name: str) -> Iterator[bytes]:
        """Return all bytes of a blob, a part at a time, not compared with the digest.

        Raises:
            DocumentError, NotFoundError, StorageError: as `get`, before the first part.
        """
        length_bytes = self.length_bytes(name)
        return (
            self.part(name, start, min(start + PART_BYTES, length_bytes))
            for start in range(0, length_bytes, PART_BYTES)
        )

    def _read(self, name: str) -> bytes:
        return bytes(obstore.get(self._store, blob_key(name)).bytes())


def open_blobs(directory: Path) -> Blobs:
    """Return the store in a folder, which is made where absent.

    Raises:
        StorageError: the folder cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return Blobs(LocalStore(directory))
    except (BaseError, OSError) as error:
        raise StorageError(f"{directory}: {_line(error)}") from error


def blob_key(name: str) -> str:
    """Return where a blob lies: tenant, algorithm, two digits to spread folders, digest.

    Raises:
        DocumentError: `name` is not a digest.
    """
    found = DIGEST.fullmatch(name)
    if found is None:
        raise DocumentError(f"'{name}' is not a digest")
    return f"{TENANT}/sha256/{found[1][:2]}/{found[1]}"


@contextmanager
def _storing(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"no blob {name}") from error
    except (BaseError, OSError) as error:
        raise StorageError(f"blob {name}: {_line(error)}") from error


def _line(error: Exception) -> str:
    """Return what obstore says without the dump of its own state that follows."""
    return str(error).partition("\n")[0]
