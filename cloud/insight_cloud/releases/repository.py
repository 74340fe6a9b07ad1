# SPDX-License-Identifier: Apache-2.0
"""The files of a TUF repository, as they are served.

    <directory>/metadata/    1.root.json, N.snapshot.json, N.targets.json, N.<profile>.json,
                             timestamp.json
    <directory>/targets/     <sha256>.directors.json, <profile>/<sha256>.<hex>.json

A file with a number is written once and never changed; `timestamp.json` is
replaced last and makes them count, so whoever reads sees a whole state, the old
one or the new. A root counts as soon as it is there. One process writes at a
time (`releases.service` sees to that); this module decides nothing.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from insight_edge.bundle.durable import replace_file, storing
from insight_edge.errors import StorageError

TOP: Final = "targets"
"""The role that delegates to the profiles."""

KEPT_VERSIONS: Final = 16
"""Of each role, for devices that read the timestamp before the last writes."""

_FILE = re.compile(r"([1-9][0-9]*)\.([a-z0-9-]+)\.json")


@dataclass(frozen=True, kw_only=True)
class Published:
    """The state that devices see; what is missing or damaged is None or not in `roles`.

    Attributes:
        profiles: for which anything was ever listed; devices refuse that one goes away.
        roles: `targets` and profiles, by name.
        metas: what the snapshot says of them.
    """

    profiles: frozenset[str]

    root: Metadata[Root] | None
    timestamp: Metadata[Timestamp] | None
    snapshot: Metadata[Snapshot] | None
    roles: Mapping[str, Metadata[Targets]]
    metas: Mapping[str, MetaFile]


class Repository:
    """The repository in one directory.

    Raises:
        StorageError: the directory cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        self._metadata = directory / "metadata"
        self._targets = directory / "targets"
        with storing(directory):
            for folder in (self._metadata, self._targets):
                folder.mkdir(parents=True, exist_ok=True)

    def published(self) -> Published:
        """Return the state that devices see now."""
        newest = max(self._versions("root"), default=0)
        timestamp = self._read("timestamp.json", None)
        said = None if timestamp is None else timestamp.signed.snapshot_meta
        snapshot = None if said is None else self._read(f"{said.version}.snapshot.json", said)
        metas = {} if snapshot is None else snapshot.signed.meta
        names = {file.removesuffix(".json"): meta for file, meta in metas.items()}
        found = {
            name: self._read(f"{meta.version}.{name}.json", meta) for name, meta in names.items()
        }
        return Published(
            profiles=frozenset(self._files().keys() - {TOP, "root", "snapshot"}),
            root=self._read(f"{newest}.root.json", None),
            timestamp=timestamp,
            snapshot=snapshot,
            roles={name: role for name, role in found.items() if role is not None},
            metas=names,
        )

    def next_version(self, role: str, known: int) -> int:
        """Return a version that no file of the role has ever had, counted or not."""
        return 1 + max([known, *self._versions(role)])

    def newest_root(self) -> bytes:
        """Return the newest root as it is served.

        Raises:
            StorageError: there is none, or it cannot be read.
        """
        path = self._metadata / f"{max(self._versions('root'), default=0)}.root.json"
        try:
            return path.read_bytes()
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}", hint="renew the repository") from error

    def put_metadata(self, role: str, version: int | None, data: bytes) -> None:
        """Write a metadata file; without a version it replaces the one that is served.

        Raises:
            StorageError: it cannot be written; what was served is.
        """
        name = f"{role}.json" if version is None else f"{version}.{role}.json"
        replace_file(self._metadata / name, data)

    def has_target(self, file: str) -> bool:
        """Return whether a target is there, by its path with the digest in the name."""
        return (self._targets / file).exists()

    def target(self, file: str) -> bytes:
        """Return a target as it is served.

        Raises:
            StorageError: it is not there, or cannot be read.
        """
        path = self._targets / file
        try:
            return path.read_bytes()
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}", hint="renew the repository") from error

    def put_target(self, file: str, data: bytes) -> None:
        """Write a target.

        Raises:
            StorageError: it cannot be written.
        """
        path = self._targets / file
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)

    def sweep(self, targets: Container[str]) -> None:
        """Remove targets other than these, old versions, and what a crash has left.

        Raises:
            StorageError: the directory cannot be written.
        """
        for path in self._targets.rglob("*"):
            if path.is_file() and path.relative_to(self._targets).as_posix() not in targets:
                _remove(path)
        for path in self._metadata.glob(".*"):
            _remove(path)
        for role, versions in self._files().items():
            if role != "root":  # every root is needed by who saw the one before
                for version in sorted(versions)[:-KEPT_VERSIONS]:
                    _remove(self._metadata / f"{version}.{role}.json")

    def _versions(self, role: str) -> list[int]:
        return self._files().get(role, [])

    def _files(self) -> dict[str, list[int]]:
        """Return the versions on disk, by role."""
        files: dict[str, list[int]] = {}
        for path in self._metadata.iterdir():
            if found := _FILE.fullmatch(path.name):
                files.setdefault(found[2], []).append(int(found[1]))
        return files

    def _read(self, name: str, meta: MetaFile | None) -> Metadata[Any] | None:
        path = self._metadata / name
        try:
            data = path.read_bytes()
            if meta is not None:
                meta.verify_length_and_hashes(data)
            return Metadata.from_bytes(data)
        except (FileNotFoundError, DeserializationError, LengthOrHashMismatchError):
            return None
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from error


def _remove(path: Path) -> None:
    with storing(path):
        path.unlink(missing_ok=True)
