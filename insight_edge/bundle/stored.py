# SPDX-License-Identifier: Apache-2.0
"""The members of a ZIP file of which nothing is compressed, as this package writes one.

Every runtime reads its golden samples when it starts, and `zipfile` brings three compressors,
a megabyte, which those do without. An archive that is not just so is left to it: nothing is
said to be damaged here.
"""

import struct
import zlib

_LOCAL = b"PK\x03\x04"
_ENTRY = b"PK\x01\x02\x14\x03"
_PLACE = struct.pack("<3HL", 0, 0, 0, 0o600 << 16)
_FIELDS = struct.Struct("<2x2H4x3L2H")
"""Of a header after its first four bytes: flags and method, CRC, both lengths, those of the name
and of extra fields; the version that reads it and the date say nothing here."""


def stored_members(data: bytes) -> dict[str, bytes] | None:
    """Return the contents of all members by name; None where the archive is any other than ours.

    Ours has its members one after the other, under names that differ, and then the directory
    and the end that tell the same.
    """
    found: dict[str, bytes] = {}
    directory, at = b"", 0
    while data.startswith(_LOCAL, at):
        header = data[at + 4 : at + 4 + _FIELDS.size]
        if len(header) < _FIELDS.size:
            return None
        flags, method, crc, packed, length, name_length, extra = _FIELDS.unpack(header)
        start = at + 30 + name_length
        name, content = data[at + 30 : start], data[start : start + length]
        plain = name.isascii() and b"\0" not in name and packed == length
        if flags or method or extra or not plain or crc != zlib.crc32(content):
            return None
        directory += _ENTRY + header + _PLACE + struct.pack("<L", at) + name
        found[name.decode()] = content
        at = start + length
    count = len(found)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), at, 0)
    return found if data[at:] == directory + end else None
