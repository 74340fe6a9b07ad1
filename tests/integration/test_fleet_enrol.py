# SPDX-License-Identifier: Apache-2.0
"""Enrolment over a real socket: who answers what, and what a person is told."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from insight_edge.bench.machine import machine_facts
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.enrolment import Broker, EnrolmentRequest, Identity
from insight_edge.errors import ConfigurationError, EnrolmentError
from insight_edge.fleet.enrol import MAX_BYTES, enrol

IDENTITY = Identity(
    tenant="default",
    device="press-7",
    profile="rpi5-8gb",
    secret="s3cret",
    cloud="http://127.0.0.1:1",
    broker=Broker(host="127.0.0.1", port=1),
    root="{}",
)
REQUEST = EnrolmentRequest(token="t0ken", facts=machine_facts())


@dataclass
class Cloud:
    """Answers every request alike, and remembers them."""

    status: int = 201
    body: bytes = field(default_factory=lambda: encode_json(IDENTITY))
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    answering = Cloud()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answering.asked.append((self.path, body))
            self.send_response(answering.status)
            for name, value in answering.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answering.body)))
            self.end_headers()
            self.wfile.write(answering.body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        answering.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield answering
        server.shutdown()
        thread.join()


def test_device_asks_once_and_is_told_who_it_is(cloud: Cloud) -> None:
    assert enrol(cloud.address + "/", REQUEST) == IDENTITY
    ((path, body),) = cloud.asked
    assert path == "/v1/enrol"
    assert decode_json(EnrolmentRequest, body) == REQUEST


def test_refusal_is_said_in_the_clouds_words_on_one_line(cloud: Cloud) -> None:
    cloud.status, cloud.body = 403, b'{"detail": "the token\\n was used"}'
    with pytest.raises(EnrolmentError, match=r"refused: the token was used$"):
        enrol(cloud.address, REQUEST)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"detail": 5}', b"\xff"])
def test_refusal_without_words_says_its_status(cloud: Cloud, body: bytes) -> None:
    cloud.status, cloud.body = 500, body
    with pytest.raises(EnrolmentError, match=r"refused: HTTP status 500$"):
        enrol(cloud.address, REQUEST)


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b" " * (MAX_BYTES + 1)])
def test_nonsense_is_refused(cloud: Cloud, body: bytes) -> None:
    cloud.body = body
    with pytest.raises(EnrolmentError, match="answered nonsense"):
        enrol(cloud.address, REQUEST)


def test_nobody_is_sent_elsewhere_with_a_token(cloud: Cloud) -> None:
    cloud.status, cloud.headers = 307, {"Location": cloud.address + "/other"}
    with pytest.raises(EnrolmentError, match="HTTP status 307"):
        enrol(cloud.address, REQUEST)
    assert len(cloud.asked) == 1


def test_cloud_that_is_away_is_one_line() -> None:
    with pytest.raises(EnrolmentError, match="cannot be reached"):
        enrol("http://127.0.0.1:9", REQUEST)


@pytest.mark.parametrize(
    "address", ["http://example.com", "ftp://127.0.0.1", "127.0.0.1:8000", "", "http://", "http://10.0.0.1"]
)  # fmt: skip
def test_token_never_travels_in_the_clear(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an https address"):
        enrol(address, REQUEST)
