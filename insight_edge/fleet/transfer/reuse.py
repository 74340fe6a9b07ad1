# SPDX-License-Identifier: Apache-2.0
"""Files that a device has already: in its slots, perhaps under another name.

What a slot says of itself is not believed: a file is copied only if its bytes are
those that are asked for.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from insight_edge.bundle.contents import contents
from insight_edge.bundle.durable import storing, sync_directory, write_file
from insight_edge.bundle.folder import Folder
from insight_edge.bundle.open import open_manifest
from insight_edge.bundle.slots import SLOTS, Slots
from insight_edge.documents.manifest import FileEntry
from insight_edge.errors import DigestMismatchError, DocumentError

COPY_SUFFIX: Final = ".copy"

Places = dict[str, list[Path]]
"""Where files of a digest may lie."""


def held_files(deployments: Iterable[Path]) -> Places:
    """Return the files in all slots of these state directories, by their SHA-256."""
    places: Places = {}
    for slot in (deployment / "slots" / name for deployment in deployments for name in SLOTS):
        with suppress(DocumentError):
            bundle = open_manifest(slot, allow_unsigned=True)
            for entry in contents(bundle.manifest, bundle.limits).values():
                places.setdefault(entry.sha256, []).append(slot / entry.path)
    return places


def idle_bytes(deployment: Path) -> int:
    """Return how much staging into the idle slot frees first.

    Raises:
        SlotError: it is not known which slot is idle.
        StorageError: the slots cannot be read.
    """
    slot = deployment / "slots" / Slots(deployment).idle
    with storing(slot):
        if not slot.is_dir():
            return 0
        return sum(path.lstat().st_size for path in slot.iterdir())


def copied(entry: FileEntry, origins: Iterable[Path], place: Path) -> bool:
    """Copy a file to `place` from the first origin that has its bytes; return whether one had.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    for origin in origins:
        with suppress(DocumentError):
            _copy(entry, origin, place)
            return True
    return False


def _copy(entry: FileEntry, origin: Path, place: Path) -> None:
    aside = place.with_name(f".{place.name}{COPY_SUFFIX}")
    with storing(place):
        try:
            with Folder(origin.parent) as folder:
                write_file(aside, _checked(entry, folder, origin.name))
            aside.rename(place)
        finally:
            aside.unlink(missing_ok=True)
        sync_directory(place.parent)


def _checked(entry: FileEntry, folder: Folder, name: str) -> Iterator[bytes]:
    """Yield the file's bytes, and refuse at their end if they are not the entry's."""
    sha256 = hashlib.sha256()
    for part in folder.chunks(name, at_most=entry.length_bytes):
        sha256.update(part)
        yield part
    if sha256.hexdigest() != entry.sha256:
        raise DigestMismatchError(f"{folder.path / name}: its SHA-256 is not its manifest's")
