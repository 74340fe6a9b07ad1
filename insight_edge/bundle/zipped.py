# SPDX-License-Identifier: Apache-2.0
"""ZIP files of anybody's, bounded before they are unpacked.

`zipfile` takes a megabyte and stays: import this where an archive is written, or is not as
`stored` reads it.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

from insight_edge.errors import DocumentError, LimitExceededError

_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
NOT_A_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What zipfile lets through of a damaged archive, found by damaging one."""


def packed(members: Mapping[str, bytes]) -> bytes:
    """Return an archive of members, in order and uncompressed; equal ones have equal bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # whose default date is fixed
    return file.getvalue()


def unpacked(data: bytes, *, max_bytes: int, max_members: int) -> list[tuple[str, bytes]]:
    """Return names and contents of the members.

    Raises:
        LimitExceededError: they unpack to more than `max_bytes`, or are more than `max_members`.
        DocumentError: not an archive, or compressed in another way than NumPy does.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            refuse_size(members, max_bytes=max_bytes, max_members=max_members)
            return [(member.filename, _unpack(archive, member)) for member in members]
    except NOT_A_ZIP as error:
        raise DocumentError(f"not an .npz: {error}") from error


def refuse_size(members: list[zipfile.ZipInfo], *, max_bytes: int, max_members: int) -> None:
    """Refuse by what the archive's directory says; zipfile reads no member beyond that.

    Raises:
        LimitExceededError: more members or bytes than that.
    """
    if len(members) > max_members:
        raise LimitExceededError(f"{len(members)} arrays, at most {max_members} are read")
    unpacked_bytes = sum(member.file_size for member in members)
    if unpacked_bytes > max_bytes:
        raise LimitExceededError(f"unpacks to {unpacked_bytes} bytes, at most {max_bytes} are read")


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in _COMPRESSIONS:
        raise DocumentError(f"'{member.filename}': unknown compression")
    with archive.open(member) as stream:
        # Never `read()`: that unpacks all there is, whatever the directory promised.
        return stream.read(member.file_size)
