# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a connection to its requests, one after the other; no socket is known here."""

from collections.abc import Callable
from typing import NamedTuple

from insight_edge.serve.chunks import Chunks
from insight_edge.serve.head import Head, head_from_bytes
from insight_edge.serve.limits import Limits
from insight_edge.serve.refusal import malformed

_END = b"\r\n\r\n"


class Request(NamedTuple):
    """A whole request, its body as it came."""

    head: Head
    body: bytes


class Framing:
    """Cuts what arrives into requests.

    Args:
        limits: of heads and bodies.
        admit: called with each head before its body is waited for; it may refuse.
    """

    def __init__(self, limits: Limits, admit: Callable[[Head], None]) -> None:
        self._limits, self._admit = limits, admit
        self._buffer = bytearray()
        self._head: Head | None = None
        self._chunks: Chunks | None = None

    @property
    def head(self) -> Head | None:
        """The head of the request whose body is on its way."""
        return self._head

    @property
    def waiting_bytes(self) -> int:
        """How much has arrived that belongs to no request yet."""
        return len(self._buffer)

    def feed(self, data: bytes | memoryview) -> None:
        """Take what has arrived."""
        self._buffer += data

    def next(self) -> Request | None:
        """Return the next request, None where it is not whole yet.

        Raises:
            RefusedError: no more requests can be told apart on this connection.
        """
        if self._head is None:
            self._head = self._take_head()
            if self._head is None:
                return None
        body = self._take_body(self._head)
        if body is None:
            return None
        request = Request(self._head, body)
        self._head = self._chunks = None
        return request

    def _take_head(self) -> Head | None:
        buffer, most = self._buffer, self._limits.head_bytes
        while buffer.startswith(b"\r\n"):
            del buffer[:2]  # RFC 9112, 2.2: an empty line before a request is skipped
        end = buffer.find(_END, 0, most)
        if end < 0:
            if len(buffer) >= most:
                raise malformed(f"the head is longer than {most} bytes", 431)
            return None
        head = head_from_bytes(_cut(buffer, end + 4))
        if (head.length or 0) > self._limits.body_bytes:
            raise malformed(f"the body is longer than {self._limits.body_bytes} bytes", 413)
        self._admit(head)
        self._chunks = Chunks(self._limits.body_bytes) if head.length is None else None
        return head

    def _take_body(self, head: Head) -> bytes | None:
        if self._chunks is not None:
            return self._chunks.take(self._buffer)
        length = head.length or 0
        return _cut(self._buffer, length) if len(self._buffer) >= length else None


def _cut(buffer: bytearray, length: int) -> bytes:
    """Take bytes from the front, and copy them once."""
    with memoryview(buffer) as view:
        taken = bytes(view[:length])
    del buffer[:length]
    return taken
