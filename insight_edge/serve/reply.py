# SPDX-License-Identifier: Apache-2.0
"""Answers as bytes of HTTP: pure."""

from functools import lru_cache
from http import HTTPStatus
from typing import Final

from insight_edge.serve.refusal import Response

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def reply(response: Response, *, stays: bool) -> bytes:
    """Return what is sent: the head, and the body behind it."""
    status, body, content_type, headers, _ = response
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
    start = _start(status, content_type, stays)
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (start, fields.encode("latin-1"), len(body), body)


@lru_cache(maxsize=64)
def _start(status: int, content_type: str, stays: bool) -> bytes:
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"content-type: {content_type}\r\n"
        f"connection: {'keep-alive' if stays else 'close'}\r\n"
    ).encode()
