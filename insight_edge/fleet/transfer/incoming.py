# SPDX-License-Identifier: Apache-2.0
"""A bundle that is being put together: `<state>/incoming/<hex>/`.

    manifest.json     as the trust check has accepted it
    <name>            a file of the bundle, whole and right when it got this name
    .<name>.part      one that is being downloaded

What a slot of this device holds already is copied from there, the rest is
downloaded. It may be left at any instant and gone on with later. Names come from
the manifest, by way of `bundle.contents`, so none leads anywhere else.
"""

import os
import shutil
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from insight_edge.bundle.contents import contents
from insight_edge.bundle.durable import replace_file, storing
from insight_edge.bundle.folder import Folder
from insight_edge.bundle.limits import MANIFEST_NAME, Limits
from insight_edge.documents.codec import decode_json, digest
from insight_edge.documents.manifest import FileEntry, Manifest
from insight_edge.errors import DocumentError, LimitExceededError, StorageError
from insight_edge.fleet.transfer.download import Source, fetch
from insight_edge.fleet.transfer.part import part_of
from insight_edge.fleet.transfer.reuse import copied, held_files, idle_bytes

FOLDER: Final = "incoming"

RESERVE_BYTES: Final = 16 * 1024 * 1024
"""Left free for the outbox and the journal."""


class Incoming:
    """The incoming directory of one bundle.

    Args:
        state: directory of the agent.
        manifest: bytes of a manifest that the trust check has accepted.
        limits: of a bundle.

    Attributes:
        bundle: digest of the manifest.
        path: the directory.
        total_bytes: of all its files.
        present_bytes: of those that are here, as far as is known; to be read from any thread.
        fetched_bytes: downloaded since this object was made.

    Raises:
        LimitExceededError: the manifest, or what it names, is more than `limits` allow.
        DocumentError: it is malformed.
    """

    def __init__(self, state: Path, manifest: bytes, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        if len(manifest) > limits.max_manifest_bytes:
            raise LimitExceededError(
                f"manifest: {len(manifest)} bytes, at most {limits.max_manifest_bytes}"
            )
        self.bundle = digest(manifest)
        self.path = incoming_dir(state, self.bundle)
        self._manifest = manifest
        self._entries = contents(decode_json(Manifest, manifest), limits)
        self.total_bytes = sum(entry.length_bytes for entry in self._entries.values())
        self.present_bytes = 0
        self.fetched_bytes = 0

    def assemble(
        self,
        source: Source,
        deployments: Iterable[Path],
        *,
        stop: Callable[[], bool] = lambda: False,
        reserve_bytes: int = RESERVE_BYTES,
        stays: bool = False,
    ) -> None:
        """Make every file be here, and be the manifest's.

        Args:
            source: of what no slot holds.
            deployments: state directories whose slots are looked into, first the one that the
                bundle is for.
            stop: asked now and then, from another thread, whether to give up.
            reserve_bytes: of the disk that are left free.
            stays: it is for no deployment, and needs no room in a slot.

        Raises:
            TamperedError: the server has something else than the manifest says.
            DownloadError: a file cannot be fetched; `fleet.download` has more exact ones.
            StorageError: there is no room for the bundle and its slot, or the disk fails.
            ConfigurationError: the address of the cloud is none.
            SlotError: the slots of the first deployment cannot be read.
        """
        self._prepare()
        places = tuple(deployments)
        held = held_files(places)
        wrong = self._without_wrong()
        if stays:  # what is copied takes room as well, and none is freed for it
            self._refuse_full_disk(wrong, 0, reserve_bytes)
        missing = [one for one in wrong if not self._copy(one, held.get(one.sha256, []))]
        slot_bytes = 0 if stays else max(0, self.total_bytes - idle_bytes(places[0]))
        self._refuse_full_disk(missing, slot_bytes, reserve_bytes)
        for entry in missing:
            if not self._copy(entry, self._twins(entry)):
                self._fetch(entry, source, stop)

    def missing(self) -> tuple[FileEntry, ...]:
        """Return the files that are not here, or are not right."""
        return tuple(entry for entry in self._entries.values() if not self._is_here(entry))

    def _prepare(self) -> None:
        """Make the directory, with the manifest and nothing in it that is left from elsewhere."""
        parts = {part_of(self.path / name).name for name in self._entries}
        with storing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for path in self.path.iterdir():
                if path.name not in self._entries.keys() | parts:
                    _remove(path)
        replace_file(self.path / MANIFEST_NAME, self._manifest)

    def _without_wrong(self) -> list[FileEntry]:
        """Return what is missing; nothing wrong has its name afterwards."""
        missing = list(self.missing())
        with storing(self.path):
            for entry in missing:
                _remove(self.path / entry.path)
        self.present_bytes = self.total_bytes - sum(entry.length_bytes for entry in missing)
        return missing

    def _is_here(self, entry: FileEntry) -> bool:
        with suppress(DocumentError), Folder(self.path) as folder:
            return folder.sha256(entry.path, at_most=entry.length_bytes) == entry.sha256
        return False

    def _twins(self, entry: FileEntry) -> list[Path]:
        """Return where the same file may lie here under another name."""
        twins = (one for one in self._entries.values() if one.sha256 == entry.sha256)
        return [self.path / one.path for one in twins if one.path != entry.path]

    def _copy(self, entry: FileEntry, origins: list[Path]) -> bool:
        place = self.path / entry.path
        if not copied(entry, origins, place):
            return False
        with storing(place):
            part_of(place).unlink(missing_ok=True)
        self.present_bytes += entry.length_bytes
        return True

    def _refuse_full_disk(
        self, missing: list[FileEntry], slot_bytes: int, reserve_bytes: int
    ) -> None:
        """Refuse to download what could not be staged: the slot is another copy of all of it."""
        parts = [part_of(self.path / entry.path) for entry in missing]
        with storing(self.path):
            here_bytes = sum(part.lstat().st_size for part in parts if part.exists())
            free_bytes = shutil.disk_usage(self.path).free
        missing_bytes = sum(entry.length_bytes for entry in missing) - here_bytes
        needed_bytes = missing_bytes + slot_bytes + reserve_bytes
        if free_bytes < needed_bytes:
            raise StorageError(
                f"{self.path}: {needed_bytes} bytes are needed for the bundle, "
                f"{free_bytes} are free",
                hint="free some space and try again",
            )

    def _fetch(self, entry: FileEntry, source: Source, stop: Callable[[], bool]) -> None:
        before_bytes = self.present_bytes
        last_bytes: int | None = None

        def progress(held_bytes: int) -> None:
            nonlocal last_bytes
            if last_bytes is not None:
                self.fetched_bytes += max(0, held_bytes - last_bytes)
            last_bytes = held_bytes
            self.present_bytes = before_bytes + held_bytes

        fetch(
            source,
            self.path / entry.path,
            sha256=entry.sha256,
            length_bytes=entry.length_bytes,
            stop=stop,
            progress=progress,
        )


def incoming_dir(state: Path, bundle: str) -> Path:
    """Return where a bundle is put together."""
    return state / FOLDER / bundle.removeprefix("sha256:")


def sweep(state: Path, keep: Container[str]) -> None:
    """Remove the incoming directories of all bundles but those with these digests.

    Raises:
        StorageError: one cannot be removed.
    """
    folder = state / FOLDER
    with storing(folder):
        if folder.is_dir():
            for path in folder.iterdir():
                if f"sha256:{path.name}" not in keep:
                    _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
