# SPDX-License-Identifier: Apache-2.0
"""Clients that stall, flood or come in crowds take a bounded part of the server, and no more."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.fakes.served import (
    HASTY,
    INFER,
    Reply,
    Served,
    asking,
    left,
    receive,
    request,
    write_served_bundle,
)

MUCH = 100_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("hasty") / "1"
    write_served_bundle(place, 1)
    with Served(place, command=HASTY) as served:
        yield served
    assert served.process.returncode == 0


def last(client: socket.socket) -> Reply:
    reply = receive(client)
    assert reply.fields["connection"] == "close"
    return reply


@pytest.mark.parametrize(
    "begun",
    [b"P", b"POST / HTTP/1.1\r\nHost: a", asking()[:-1], asking()[:-40],
     request(INFER, b"3\r\nab", "Transfer-Encoding: chunked")],
)  # fmt: skip
def test_request_that_is_never_whole_is_let_go(server: Served, begun: bytes) -> None:
    with server.connect() as client:
        client.sendall(begun)
        assert last(client).status == 408


def test_trickle_of_bytes_buys_no_time(server: Served) -> None:
    with server.connect() as client:
        client.sendall(b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: ")
        client.settimeout(0.01)
        said = b""
        for _ in range(500):
            try:
                client.sendall(b"a")
                said = client.recv(4096)
                break
            except TimeoutError:
                continue
        assert said.startswith(b"HTTP/1.1 408 ")


def test_client_that_says_nothing_is_let_go(server: Served) -> None:
    with server.connect() as silent, server.connect() as idle:
        idle.sendall(asking())
        assert receive(idle).status == 200
        assert left(idle) == b""
        assert left(silent) == b""


def test_client_that_reads_nothing_is_asked_nothing_more(server: Served) -> None:
    """Its answers are not kept: the server stops reading, and the sender cannot go on."""
    with server.connect() as client:
        client.settimeout(0.3)
        sent = 0
        with suppress(TimeoutError):
            while sent < MUCH:
                sent += client.send(request("/v2") * 500)
    assert sent < MUCH
    assert server.ask(asking()).status == 200


def test_crowd_is_told_to_come_back(server: Served) -> None:
    with ExitStack() as crowd:
        inside = [crowd.enter_context(server.connect()) for _ in range(3)]
        for client in inside:
            client.sendall(request("/v2/health/live"))
            assert receive(client).status == 200
        with server.connect() as one_more:
            reply = last(one_more)
        assert (reply.status, reply.fields["retry-after"]) == (503, "1")


def test_bodies_together_have_a_bound(server: Served) -> None:
    large = request(INFER, bytes(200 * 1024))
    with server.connect() as client:
        client.sendall(large[:-1])
        assert server.ask(large).status == 503
        assert server.ask(asking()).status == 200
        client.sendall(large[-1:])
        assert receive(client).status == 400
    assert server.ask(large).status == 400


def test_head_and_body_have_a_bound(server: Served) -> None:
    assert server.ask(request("/v2", b"", "X: " + "a" * 2000)).status == 431
    assert server.ask(request(INFER, bytes(257 * 1024))).status == 413
    endless = request(INFER, b"", "Transfer-Encoding: chunked") + b"10000\r\n" + bytes(65536)
    with server.connect() as client:
        client.sendall(endless + b"\r\n30001\r\n")
        assert last(client).status == 413


def test_stalled_request_does_not_hold_up_the_end(tmp_path: Path) -> None:
    write_served_bundle(tmp_path / "1", 1)
    with Served(tmp_path / "1", command=HASTY) as served, served.connect() as client:
        client.sendall(asking()[:-1])
        assert served.ask(request("/v2/health/live")).status == 200
        assert served.end() == 0
