# SPDX-License-Identifier: Apache-2.0
"""A body that comes in chunks, each after its length; extensions and trailers are skipped."""

import re
from typing import Final

from insight_edge.serve.refusal import malformed

MAX_LINE: Final = 256
MAX_TRAILERS: Final = 16

_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,12})[ \t]*(?:;[ \t\x21-\x7e]*)?")
_LINE: Final = re.compile(rb"[ \t\x21-\x7e\x80-\xff]*")


class Chunks:
    """Takes one body from the front of a buffer, as it arrives.

    Args:
        most_bytes: of the body.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._body = bytearray()
        self._length = 0
        self._left = -1
        """Bytes of the chunk under way with the line end after it; -1 before its size."""
        self._trailers = -1
        """Lines after the last chunk; -1 before it."""

    def take(self, buffer: bytearray) -> bytes | None:
        """Take what is there; return the body when it is whole.

        Raises:
            RefusedError: a chunk is malformed, or the body too long.
        """
        while True:
            if self._left >= 0:
                if not self._take_chunk(buffer):
                    return None
                continue
            line = _take_line(buffer)
            if line is None:
                return None
            if self._trailers >= 0:
                if not line:
                    return bytes(self._body)
                self._skip_trailer(line)
            else:
                self._begin(line)

    def _begin(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise malformed("the size of a chunk is malformed")
        size = int(found[1], 16)
        self._length += size
        if self._length > self._most:
            raise malformed(f"the body is longer than {self._most} bytes", 413)
        if size:
            self._left = size + 2
        else:
            self._trailers = 0

    def _take_chunk(self, buffer: bytearray) -> bool:
        """Take what is there of a chunk; return whether it is whole."""
        part = buffer[: self._left - 2]
        del buffer[: len(part)]
        self._body += part
        self._left -= len(part)
        if self._left > 2 or len(buffer) < 2:
            return False
        if buffer[:2] != b"\r\n":
            raise malformed("a chunk is longer than its size")
        del buffer[:2]
        self._left = -1
        return True

    def _skip_trailer(self, line: bytes) -> None:
        self._trailers += 1
        if self._trailers > MAX_TRAILERS or not _LINE.fullmatch(line):
            raise malformed("the trailers are malformed, or too many")


def _take_line(buffer: bytearray) -> bytes | None:
    end = buffer.find(b"\r\n", 0, MAX_LINE + 2)
    if end < 0:
        if len(buffer) > MAX_LINE:
            raise malformed("a line between chunks is too long")
        return None
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    return line
