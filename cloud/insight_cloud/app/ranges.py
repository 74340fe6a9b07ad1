# SPDX-License-Identifier: Apache-2.0
"""One byte range of a request (RFC 9110, 14): pure. Several at once are answered whole."""

import re
from typing import NamedTuple

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class ByteRange(NamedTuple):
    """From `start` up to `end`.

    Attributes:
        partial: a part was asked for.
        unsatisfiable: it begins beyond the end.
    """

    start: int
    end: int
    partial: bool = False
    unsatisfiable: bool = False


def byte_range(header: str | None, length_bytes: int) -> ByteRange:
    """Return what a `Range` header asks of so many bytes; one that is no range asks for all."""
    found = _RANGE.fullmatch(header or "")
    if found is None or not any(found.groups()):
        return ByteRange(0, length_bytes)
    first, last = found.groups()
    if not first:
        start, end = max(0, length_bytes - int(last)), length_bytes
    else:
        start, end = int(first), length_bytes if not last else min(int(last) + 1, length_bytes)
    if last and first and int(last) < int(first):
        return ByteRange(0, length_bytes)
    if start >= length_bytes:
        return ByteRange(0, 0, unsatisfiable=True)
    return ByteRange(start, end, partial=True)
