# SPDX-License-Identifier: Apache-2.0
"""Know that files are still those whose digests were taken, without reading them again.

A stamp is what the file system says of a file. Whoever writes to one changes its
time of change (`ctime`), which no program can set back; a copy is another inode.
A disk that rots unseen is not noticed here: whatever is put into a bundle is
compared with its digest once more, always.
"""

from collections.abc import Iterable
from pathlib import Path

from insight_edge.documents.codec import Document


class Stamp(Document, frozen=True, kw_only=True):
    """A file as it lay when its digest was known to be right; times in ns."""

    path: str
    length_bytes: int
    modified_ns: int
    changed_ns: int
    inode: int
    device: int


def stamps_of(directory: Path, names: Iterable[str]) -> tuple[Stamp, ...]:
    """Return the stamps of files in a directory.

    Raises:
        OSError: one cannot be looked at.
    """
    return tuple(_stamp(directory, name) for name in names)


def _stamp(directory: Path, name: str) -> Stamp:
    found = (directory / name).lstat()
    return Stamp(
        path=name,
        length_bytes=found.st_size,
        modified_ns=found.st_mtime_ns,
        changed_ns=found.st_ctime_ns,
        inode=found.st_ino,
        device=found.st_dev,
    )
