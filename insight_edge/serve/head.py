# SPDX-License-Identifier: Apache-2.0
"""The head of an HTTP request: what it asks, and where its body ends (rule O8).

Strict on purpose: two programs that read one head differently are how requests are smuggled, so
whatever could be read in two ways is refused. Heads of a client look alike; each is parsed once.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from insight_edge.serve.refusal import malformed

MAX_FIELDS: Final = 64
MAX_LENGTH_DIGITS: Final = 15

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET: Final = re.compile(rb"/[!-~]*")
_VALUE: Final = re.compile(rb"[ \t\x21-\x7e\x80-\xff]*")
_DIGITS: Final = re.compile(r"[0-9]+")

_ONCE: Final = frozenset(
    {
        "authorization", "content-encoding", "content-length", "content-type", "host",
        "inference-header-content-length", "origin", "transfer-encoding",
    }
)  # fmt: skip
"""Fields of which a second one could mean something else to somebody."""


class Head(NamedTuple):
    """A request line and its fields.

    Attributes:
        path: of the target, without the query, as it was written.
        fields: by name in lower case; several of one name joined by commas.
        length: of the body in bytes; None where it comes in chunks.
        keep_alive: whether the client will go on with this connection.
        expects: whether it waits for `100 Continue`.
    """

    method: str
    path: str
    fields: Mapping[str, str]
    length: int | None
    keep_alive: bool
    expects: bool


@lru_cache(maxsize=64)
def head_from_bytes(data: bytes) -> Head:
    r"""Return the head in the bytes up to and with its empty line.

    Raises:
        RefusedError: it is malformed, or says what is not served.
    """
    line, *rest = data[:-4].split(b"\r\n")
    method, target, version = _request_line(line)
    fields = _fields(rest)
    if version == b"HTTP/1.1" and "host" not in fields:
        raise malformed("the field Host is missing")
    options = {word.strip().lower() for word in fields.get("connection", "").split(",")}
    return Head(
        method=method,
        path=target.partition("?")[0],
        fields=fields,
        length=_length(fields, version),
        keep_alive="close" not in options and (version == b"HTTP/1.1" or "keep-alive" in options),
        expects=_expects(fields),
    )


def plain_length(text: str, name: str) -> int:
    """Return a length that a field says.

    Raises:
        RefusedError: it is anything but digits.
    """
    if not _DIGITS.fullmatch(text) or len(text) > MAX_LENGTH_DIGITS:
        raise malformed(f"{name} is not a length")
    return int(text)


def _request_line(line: bytes) -> tuple[str, str, bytes]:
    words = line.split(b" ")
    if len(words) != 3 or not _TOKEN.fullmatch(words[0]) or not _TARGET.fullmatch(words[1]):
        raise malformed("the request line is malformed")
    method, target, version = words
    if version not in {b"HTTP/1.1", b"HTTP/1.0"}:
        raise malformed("HTTP/1.1 is spoken here", 505 if version[:5] == b"HTTP/" else 400)
    return method.decode(), target.decode(), version


def _fields(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > MAX_FIELDS:
        raise malformed(f"more than {MAX_FIELDS} fields", 431)
    fields: dict[str, str] = {}
    for line in lines:
        raw, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(raw) or not _VALUE.fullmatch(value):
            raise malformed("a field is malformed")
        name, text = raw.decode().lower(), value.strip(b" \t").decode("latin-1")
        if name in fields:
            if name in _ONCE:
                raise malformed(f"the field {name} is there twice")
            text = f"{fields[name]}, {text}"
        fields[name] = text
    return fields


def _length(fields: Mapping[str, str], version: bytes) -> int | None:
    coding, length = fields.get("transfer-encoding"), fields.get("content-length")
    if coding is None:
        return 0 if length is None else plain_length(length, "Content-Length")
    if length is not None or version == b"HTTP/1.0":
        raise malformed("Transfer-Encoding beside Content-Length, or in HTTP/1.0")
    if coding.lower() != "chunked":
        raise malformed("the only transfer coding is chunked", 501)
    return None


def _expects(fields: Mapping[str, str]) -> bool:
    expected = fields.get("expect")
    if expected is not None and expected.lower() != "100-continue":
        raise malformed("only 100-continue can be expected", 417)
    return expected is not None
