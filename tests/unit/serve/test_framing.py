# SPDX-License-Identifier: Apache-2.0
"""Requests are cut out of any stream of bytes in one way alone, or the stream is refused."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.serve.framing import Framing, Request
from insight_edge.serve.head import MAX_FIELDS, Head, head_from_bytes
from insight_edge.serve.limits import Limits
from insight_edge.serve.refusal import RefusedError

LIMITS = Limits(head_bytes=1024, body_bytes=2048)


def head(*fields: str, line: str = "POST /v2 HTTP/1.1", host: str = "Host: localhost") -> bytes:
    lines = [line, *([host] if host else []), *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def sized(body: bytes) -> bytes:
    return head(f"Content-Length: {len(body)}") + body


def chunked(parts: Sequence[bytes], extension: str = "", trailer: str = "") -> bytes:
    told = b"".join(b"%x%b\r\n%b\r\n" % (len(p), extension.encode(), p) for p in parts if p)
    return head("Transfer-Encoding: chunked") + told + f"0\r\n{trailer}\r\n".encode()


def read(*pieces: bytes) -> list[Request]:
    framing = Framing(LIMITS, lambda _: None)
    found = []
    for piece in pieces:
        framing.feed(piece)
        while (request := framing.next()) is not None:
            found.append(request)
    return found


def refusal(data: bytes) -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        read(data)
    return refused.value


bodies = st.binary(max_size=64)
messages = st.one_of(bodies.map(sized), st.lists(bodies, max_size=3).map(chunked))


@given(st.lists(messages, max_size=4), st.lists(st.integers(1, 60), max_size=30))
def test_requests_do_not_depend_on_how_bytes_arrive(sent: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(sent)
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(stream[at : at + cut])
        at += cut
    assert read(*pieces, stream[at:]) == read(stream)
    assert len(read(stream)) == len(sent)


@given(st.lists(bodies, max_size=4))
def test_body_in_chunks_is_the_body(parts: list[bytes]) -> None:
    [request] = read(chunked(parts, extension=";name=value", trailer="Digest: 1\r\n"))
    assert request.body == b"".join(parts)


LINE_PARTS = st.sampled_from(
    [b"POST /v2 HTTP/1.1\r\n", b"Host: localhost\r\n", b"Content-Length: 3\r\n", b"\r\n", b"\n",
     b"Transfer-Encoding: chunked\r\n", b"abc", b"0\r\n\r\n", b"3\r\n", b" ", b":", b"\r", b"\0",
     b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"-", b"ffffffffffff\r\n"]
)  # fmt: skip


@given(st.binary(max_size=200) | st.lists(LINE_PARTS, max_size=20).map(b"".join))
def test_any_bytes_are_requests_or_refused(data: bytes) -> None:
    try:
        found = read(data)
    except RefusedError as refused:
        assert refused.closes  # noqa: PT017 (nothing has to be refused)
    else:
        assert sum(len(request.body) for request in found) <= len(data)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head("Content-Length: 3", "Content-Length: 3"), 400),
        (head("Content-Length: 3", "Transfer-Encoding: chunked"), 400),
        (head("Content-Length: +3"), 400),
        (head("Content-Length: 3, 3"), 400),
        (head("Content-Length: 0x3"), 400),
        (head("Content-Length: -1"), 400),
        (head("Content-Length:"), 400),
        (head("Content-Length: \u00b3"), 400),
        (head(f"Content-Length: {'9' * 40}"), 400),
        (head("Content-Length: 2049"), 413),
        (head("Content-Length : 3"), 400),
        (head("Transfer-Encoding: gzip, chunked"), 501),
        (head("Transfer-Encoding: chunked, chunked"), 501),
        (head("Transfer-Encoding: xchunked"), 501),
        (head("Transfer-Encoding: chunked", line="POST /v2 HTTP/1.0"), 400),
        (head("A: b\r\n folded"), 400),
        (head("A: b\nContent-Length: 3"), 400),
        (head("A: b\rContent-Length: 3"), 400),
        (head("A: \x00"), 400),
        (head(": no name"), 400),
        (head("no colon"), 400),
        (head("Host: other"), 400),
        (head(host=""), 400),
        (head("Expect: magic"), 417),
        (head(line="POST  /v2 HTTP/1.1"), 400),
        (head(line="POST /v2 HTTP/1.1 "), 400),
        (head(line="POST /v2"), 400),
        (head(line="POST v2 HTTP/1.1"), 400),
        (head(line="POST http://x/v2 HTTP/1.1"), 400),
        (head(line="OPTIONS * HTTP/1.1"), 400),
        (head(line="PO(ST /v2 HTTP/1.1"), 400),
        (head(line="POST /v2\t HTTP/1.1"), 400),
        (head(line="POST /v2 HTTP/2.0"), 505),
        (head(line="POST /v2 http/1.1"), 400),
        (head(*(f"A{i}: b" for i in range(MAX_FIELDS + 1))), 431),
        (head("A: " + "b" * 1024), 431),
        (b"a" * 1024, 431),
        (head("Transfer-Encoding: chunked") + b"zz\r\n", 400),
        (head("Transfer-Encoding: chunked") + b"-1\r\n", 400),
        (head("Transfer-Encoding: chunked") + b"0x1\r\n", 400),
        (head("Transfer-Encoding: chunked") + b"1\r\nabc\r\n", 400),
        (head("Transfer-Encoding: chunked") + b"801\r\n", 413),
        (head("Transfer-Encoding: chunked") + b"1;" + b"x" * 400, 400),
        (head("Transfer-Encoding: chunked") + b"1;\n\r\na\r\n", 400),
        (head("Transfer-Encoding: chunked") + b"0\r\n" + b"A: b\r\n" * 20, 400),
    ],
)
def test_what_two_could_read_differently_is_refused(data: bytes, status: int) -> None:
    refused = refusal(data)
    assert (refused.status, refused.closes) == (status, True)


def test_fields_are_found_by_any_case_and_joined() -> None:
    found = head_from_bytes(head("AcCePt:  a \t", "accept: b", line="GET /a?b=c HTTP/1.1"))
    assert (found.method, found.path, found.fields["accept"]) == ("GET", "/a", "a, b")
    assert found.length == 0


@pytest.mark.parametrize(
    ("line", "field", "stays"),
    [
        ("GET / HTTP/1.1", "A: b", True),
        ("GET / HTTP/1.1", "Connection: Close", False),
        ("GET / HTTP/1.1", "Connection: x, close", False),
        ("GET / HTTP/1.0", "A: b", False),
        ("GET / HTTP/1.0", "Connection: keep-alive", True),
    ],
)
def test_connection_stays_as_the_client_says(line: str, field: str, stays: bool) -> None:
    assert head_from_bytes(head(field, line=line)).keep_alive is stays


def test_head_is_looked_at_before_its_body_has_come() -> None:
    seen: list[Head] = []
    framing = Framing(LIMITS, seen.append)
    framing.feed(head("Content-Length: 3"))
    assert framing.next() is None
    assert len(seen) == 1
    framing.feed(b"abc")
    assert framing.next() == Request(seen[0], b"abc")
    assert framing.next() is None


def test_empty_lines_before_a_request_are_skipped() -> None:
    assert len(read(b"\r\n\r\n" + sized(b"a"))) == 1
