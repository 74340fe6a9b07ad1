# SPDX-License-Identifier: Apache-2.0
"""A console over real sockets, and a browser as far as cookies and forms go."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI

from insight_cloud.app.main import build_app
from insight_cloud.app.serving import Server
from insight_cloud.platform.setup import BrokerPlace
from tests.fakes.cloud import Cloud

START_S = 20.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Visitor:
    """Somebody with a browser that keeps cookies and says where it comes from."""

    port: int
    cookie: str = ""
    site: str = "same-origin"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, /, fields: dict[str, str] | None = None, **headers: str) -> Answer:
        return self._ask("POST", path, urlencode(fields or {}), headers)

    def sign_in(self, name: str, password: str) -> Answer:
        answer = self.post("/login", {"name": name, "password": password, "next": "/devices"})
        self.cookie = (answer.headers["set-cookie"] or "").partition(";")[0]
        return answer

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"accept": "text/html", "sec-fetch-site": self.site, "cookie": self.cookie}
        if body is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, sent | named)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


@contextmanager
def served_console(cloud: Cloud) -> Iterator[tuple[Visitor, FastAPI]]:
    """Serve the whole app in a thread, and give a visitor who is not signed in."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        place = BrokerPlace(
            host="127.0.0.1", port=1, program="mosquitto", state=str(cloud.settings.state / "b")
        )
        app = build_app(cloud.setup(port, place), cloud)
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=10)
        server = Server(config, app.state.streams.stopping)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            _wait_for(server)
            yield Visitor(port), app
        finally:
            server.handle_exit(15, None)
            thread.join(timeout=30)
            assert not thread.is_alive(), "the server does not end"


def _wait_for(server: uvicorn.Server) -> None:
    deadline_s = time.monotonic() + START_S
    while not server.started:
        assert time.monotonic() < deadline_s, "the server does not start"
        time.sleep(0.02)
