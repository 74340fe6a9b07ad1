# SPDX-License-Identifier: Apache-2.0
"""Live pages: told when something has changed, bounded, and over when they should be."""

import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from fastapi import FastAPI

from insight_cloud.console.streams import Streams
from insight_cloud.platform.clock import now
from insight_cloud.platform.setup import BrokerPlace
from tests.fakes.cloud import Cloud, _wait_for, open_cloud
from tests.fakes.console_model import MODEL
from tests.fakes.console_server import Visitor, served_console
from tests.fakes.console_world import ADMIN, OPERATOR, PASSWORD, people_of

Served = tuple[Cloud, Visitor, FastAPI, str]


class Listener:
    """A browser that listens to a stream."""

    def __init__(self, visitor: Visitor, path: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", visitor.port, timeout=30)
        self._connection.request("GET", path, headers={"cookie": visitor.cookie})
        self.response = self._connection.getresponse()

    def event(self) -> str:
        """Return the next event; empty where the stream has ended."""
        lines: list[str] = []
        while line := self.response.readline().decode():
            if line == "\n" and lines:
                break
            lines.append(line)
        return "".join(lines)

    def close(self) -> None:
        self.response.close()
        self._connection.close()


@contextmanager
def listening(visitor: Visitor, path: str) -> Iterator[Listener]:
    listener = Listener(visitor, path)
    try:
        yield listener
    finally:
        listener.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with open_cloud(tmp_path_factory.mktemp("live")) as cloud:
        people_of(cloud)
        run = opened_run(cloud)
        with served_console(cloud) as (visitor, app):
            visitor.sign_in(ADMIN, PASSWORD)
            yield cloud, visitor, app, f"/pipelines/{run}/live"


def opened_run(cloud: Cloud) -> str:
    cloud.registry.register(
        MODEL, task="test", artifacts={"model.onnx": b"weights"}, metrics={}, by="Ada", now=now()
    )
    return cloud.pipelines.open(MODEL, because="a test", by=ADMIN, now=now()).id


def wait_until_closed(streams: Streams) -> None:
    deadline_s = time.monotonic() + 20
    while streams.open:
        assert time.monotonic() < deadline_s, "a stream stays open"
        time.sleep(0.02)


def test_change_is_told_and_nothing_else(served: Served) -> None:
    cloud, visitor, app, path = served
    with listening(visitor, path) as listener:
        assert listener.response.headers["content-type"].startswith("text/event-stream")
        first = listener.event()
        assert '<hx-partial hx-target="#run" hx-swap="innerMorph">' in first
        assert "queued" in first
        cloud.pipelines.cancel(path.split("/")[2], by="<script>", now=now())
        second = listener.event()
        assert "cancelled" in second
        assert "&lt;script&gt;" in second
    wait_until_closed(app.state.streams)


def test_stream_ends_with_the_session(served: Served) -> None:
    _, visitor, app, path = served
    other = Visitor(visitor.port)
    other.sign_in(OPERATOR, PASSWORD)
    with listening(other, path) as listener:
        assert listener.event()
        assert other.post("/logout").status == 303
        assert listener.event() == "event: signed-out\ndata: .\n"
        assert listener.event() == ""
    wait_until_closed(app.state.streams)


def test_nobody_listens_who_is_not_signed_in(served: Served) -> None:
    _, visitor, _, path = served
    assert Visitor(visitor.port).get(path).status == 303
    assert Visitor(visitor.port).get(path, hx_request="true").status == 401


def test_streams_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    _, visitor, app, path = served
    monkeypatch.setattr(app.state.streams, "_most", 2)
    with listening(visitor, path) as one, listening(visitor, path) as two:
        assert (one.event(), two.event()) != ("", "")
        assert app.state.streams.open == 2
        answer = visitor.get(path)
        assert (answer.status, answer.headers["retry-after"]) == (503, "10")
    wait_until_closed(app.state.streams)
    with listening(visitor, path) as again:
        assert again.event()
    wait_until_closed(app.state.streams)


def test_stream_of_what_is_not_there_ends(served: Served) -> None:
    _, visitor, app, _ = served
    with listening(visitor, "/rollouts/77/live") as listener:
        assert listener.event() == ""
    wait_until_closed(app.state.streams)


def test_process_ends_at_once_with_pages_open(tmp_path: Path) -> None:
    with open_cloud(tmp_path) as cloud:
        people_of(cloud)
        run = opened_run(cloud)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        place = BrokerPlace(host="127.0.0.1", port=1, program="mosquitto", state=str(tmp_path))
        setup = cloud.setup(port, place)
        process = subprocess.Popen(
            [sys.executable, "-m", "insight_cloud.app.main"], stdin=subprocess.PIPE
        )
        try:
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(setup) + b"\n")
            process.stdin.flush()
            _wait_for(setup.address, process)
            visitor = Visitor(port)
            visitor.sign_in(ADMIN, PASSWORD)
            with listening(visitor, f"/pipelines/{run}/live") as listener:
                assert "queued" in listener.event()
                told_s = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert listener.event() == ""
                process.wait(timeout=30)
            # The server waits five seconds for what does not end by itself; this does.
            assert time.monotonic() - told_s < 4.5
        finally:
            process.kill()
            process.communicate()
