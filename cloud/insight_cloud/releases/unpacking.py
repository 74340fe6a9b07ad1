# SPDX-License-Identifier: Apache-2.0
"""Unpack a bundle that was uploaded as a zip: flat files, and no more than is ever read.

What the files say is checked by whoever opens the bundle afterwards.
"""

import shutil
import zipfile
import zlib
from pathlib import Path
from typing import IO, Final

from insight_edge.bundle.limits import FILE_NAME, MIB
from insight_edge.errors import DocumentError, LimitExceededError, StorageError

MAX_BYTES: Final = 512 * MIB
"""Packed, and unpacked."""

MAX_FILES: Final = 65
"""The manifest and what it may name."""

_PART_BYTES: Final = MIB
_COMPRESSIONS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_NOT_A_ZIP: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


def unpack(packed: IO[bytes], directory: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Write the files of a zip into an empty directory.

    Raises:
        LimitExceededError: they are more, or more bytes, than is ever read.
        DocumentError: it is no zip, or a name in it is not flat or there twice.
        StorageError: they cannot be written.
    """
    try:
        with zipfile.ZipFile(packed) as archive:
            members = archive.infolist()
            _check(members, max_bytes)
            for member in members:
                _write(archive, member, directory / member.filename)
    except _NOT_A_ZIP as error:
        raise DocumentError(f"not a zip of a bundle: {error}") from error
    except OSError as error:
        raise StorageError(f"the upload cannot be unpacked: {error.strerror}") from error


def _check(members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    if len(members) > MAX_FILES:
        raise LimitExceededError(f"{len(members)} files, at most {MAX_FILES} make a bundle")
    total_bytes = sum(member.file_size for member in members)
    if total_bytes > max_bytes:
        raise LimitExceededError(f"unpacks to {total_bytes} bytes, at most {max_bytes} are read")
    names = [member.filename for member in members]
    for name in names:
        if FILE_NAME.fullmatch(name) is None:
            raise DocumentError(
                f"'{name[:100]}' is not a file of a bundle",
                hint="pack its files without a folder: zip -j bundle.zip bundle/*",
            )
    if len(set(names)) < len(names):
        raise DocumentError("two files have one name")


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    if member.compress_type not in _COMPRESSIONS:
        raise DocumentError(f"'{member.filename}': unknown compression")
    # zipfile gives no more of a member than the directory of the archive says.
    with archive.open(member) as source, path.open("xb") as target:
        shutil.copyfileobj(source, target, _PART_BYTES)
