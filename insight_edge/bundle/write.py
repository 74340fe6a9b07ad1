# SPDX-License-Identifier: Apache-2.0
"""Write a bundle whole or not at all.

Files are staged in a hidden sibling directory, flushed to the disk, and given
their name by one rename. Where a bundle is replaced, the old one is renamed
aside first: between the two renames its name is free, and both lie complete
beside it. Nothing that is not a bundle is ever replaced.

This module decides nothing about the manifest's contents; it refuses one that
`bundle.open` would refuse.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from insight_edge.bundle.contents import contents
from insight_edge.bundle.durable import sibling, storing, sync_directory, write_file
from insight_edge.bundle.folder import CHUNK_BYTES, Folder
from insight_edge.bundle.limits import MANIFEST_NAME, Limits
from insight_edge.bundle.open import Bundle, open_manifest
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.manifest import FileEntry, Manifest
from insight_edge.errors import (
    ConfigurationError,
    DigestMismatchError,
    DocumentError,
    LimitExceededError,
)

Source = Path | bytes


def file_entry(name: str, source: Source) -> FileEntry:
    """Return the manifest's entry for a file called `name` with these contents.

    Raises:
        DocumentError: the source cannot be read.
    """
    sha256, length_bytes = hashlib.sha256(), 0
    for part in _parts(source):
        sha256.update(part)
        length_bytes += len(part)
    return FileEntry(path=name, sha256=sha256.hexdigest(), length_bytes=length_bytes)


def write_bundle(directory: Path, manifest: Manifest, files: Mapping[str, Source]) -> str:
    """Write the bundle `directory` and return its digest.

    `files` gives the contents of exactly the names in the manifest. An existing
    bundle there is replaced.

    Raises:
        ConfigurationError: something that is not a bundle is there.
        StorageError: the disk is full or cannot be written; what was there stays.
        DigestMismatchError: a source does not have the contents that its entry says.
        LimitExceededError: the manifest goes beyond the default limits.
        DocumentError: the manifest and `files` differ, or a source cannot be read.
    """
    data = encode_json(manifest)
    if len(data) > Limits().max_manifest_bytes:
        raise LimitExceededError(
            f"manifest: {len(data)} bytes, at most {Limits().max_manifest_bytes}"
        )
    entries = contents(manifest, Limits())
    if entries.keys() != files.keys():
        raise DocumentError(
            f"files {sorted(files)} were handed in, the manifest names {sorted(entries)}"
        )
    _place(directory, data, entries, files)
    return digest(data)


def copy_bundle(bundle: Bundle, directory: Path) -> None:
    """Write an opened bundle to another directory, byte for byte, every digest compared again.

    Raises:
        ConfigurationError, StorageError, DigestMismatchError, DocumentError: as `write_bundle`.
    """
    with Folder(bundle.path) as folder:
        data = folder.read(MANIFEST_NAME, at_most=bundle.limits.max_manifest_bytes)
    if digest(data) != bundle.digest:
        raise DigestMismatchError(f"{bundle.path}: the manifest changed while it was copied")
    entries = contents(bundle.manifest, bundle.limits)
    _place(directory, data, entries, {name: bundle.path / name for name in entries})


def _place(
    directory: Path,
    manifest: bytes,
    entries: Mapping[str, FileEntry],
    files: Mapping[str, Source],
) -> None:
    directory = directory.resolve()
    replaced = _is_bundle(directory)
    with storing(directory), _staged(directory) as staged:
        write_file(staged / MANIFEST_NAME, [manifest])
        for name, entry in entries.items():
            write_file(staged / name, _checked(entry, files[name]))
        sync_directory(staged)
        _rename(staged, directory, replaced=replaced)


def _is_bundle(directory: Path) -> bool:
    """Return whether a bundle is there to be replaced, False where the name is free.

    Raises:
        ConfigurationError: something else is there.
    """
    if not os.path.lexists(directory):
        return False
    try:
        open_manifest(directory, allow_unsigned=True)
    except DocumentError as error:
        raise ConfigurationError(
            f"{directory}: exists and is not a whole bundle, so it is not replaced",
            hint="name another directory, or remove this one yourself",
        ) from error
    return True


@contextmanager
def _staged(directory: Path) -> Iterator[Path]:
    """Yield a new sibling directory that is gone afterwards unless it was renamed."""
    staged = sibling(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    staged.mkdir()
    try:
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _rename(staged: Path, directory: Path, *, replaced: bool) -> None:
    aside = sibling(directory)
    if replaced:
        directory.rename(aside)
    try:
        staged.rename(directory)
    except OSError:
        if replaced:
            aside.rename(directory)
        raise
    sync_directory(directory.parent)
    if replaced:
        shutil.rmtree(aside, ignore_errors=True)


def _checked(entry: FileEntry, source: Source) -> Iterator[bytes]:
    """Yield the source's bytes, and refuse at their end if they are not the entry's."""
    sha256, left = hashlib.sha256(), entry.length_bytes
    for part in _parts(source):
        sha256.update(part)
        left -= len(part)
        if left >= 0:
            yield part
    if left or sha256.hexdigest() != entry.sha256:
        raise DigestMismatchError(f"'{entry.path}': its contents are not what its entry says")


def _parts(source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    try:
        with source.open("rb") as stream:
            while part := stream.read(CHUNK_BYTES):
                yield part
    except OSError as error:
        raise DocumentError(f"{source}: {(error.strerror or str(error)).lower()}") from error
