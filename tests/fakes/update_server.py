# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server of TUF files and blobs, that can be told to misbehave.

    with UpdateServer(root, token="secret") as server:
        server.behave("/v1/blobs/", Cut(after_bytes=100), times=1)
        ... server.url ...

Below `root`: `tuf/...` is served as `/v1/tuf/...`, and a blob lies at `blobs/<hex>` or where
the cloud's blob store keeps it. Every request needs `Authorization: Bearer <token>` (else 401).
`Range: bytes=a-` and `bytes=a-b` are answered with 206, beyond the end with 416. One connection
serves one request. What was asked for is kept in `server.requests`.
"""

import re
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Status:
    """Answer with this status and no body."""

    code: int


@dataclass(frozen=True)
class Stall:
    """Send that many bytes of the body, then nothing, for ever; None: not even a status line."""

    after_bytes: int | None = None


@dataclass(frozen=True)
class Drip:
    """Send the body byte by byte with a pause after each; `head`: a header that never ends."""

    pause_s: float = 0.02
    head: bool = False


@dataclass(frozen=True)
class Cut:
    """Promise the whole body, send that many bytes of it, and close the connection."""

    after_bytes: int


@dataclass(frozen=True)
class Corrupt:
    """Flip all bits of one byte of what is sent."""

    at: int = 0


@dataclass(frozen=True)
class Longer:
    """Send more than there is: that many bytes behind the true ones; `length`: and say so."""

    by_bytes: int
    length: bool = True


@dataclass(frozen=True)
class Replace:
    """Send other bytes instead."""

    data: bytes


@dataclass(frozen=True)
class NoRange:
    """Ignore `Range` and send the whole with status 200."""


How = Status | Stall | Drip | Cut | Corrupt | Longer | Replace | NoRange


@dataclass(frozen=True)
class Asked:
    """One request: its path, its `Range` header, and the status it was answered with."""

    path: str
    range: str | None
    status: int


@dataclass
class _Rule:
    prefix: str
    how: How
    left: int | None


class UpdateServer:
    """Serves a folder on a free port of 127.0.0.1 from `__enter__` to `__exit__`."""

    def __init__(self, root: Path, token: str, tls: ssl.SSLContext | None = None) -> None:
        self.root = root
        self._tls = tls
        self.token = token
        self.requests: list[Asked] = []
        self.before: Callable[[str], None] | None = None
        """Called with the path before a request is answered, to change files in between."""
        self.closing = threading.Event()
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = False  # so that closing waits for them
        self._server.world = self  # type: ignore[attr-defined]
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def behave(self, path_prefix: str, how: How | None, *, times: int | None = None) -> None:
        """From now on treat paths with this prefix so, `times` times; None: as usual again."""
        with self._lock:
            self._rules = [rule for rule in self._rules if rule.prefix != path_prefix]
            if how is not None:
                self._rules.append(_Rule(path_prefix, how, times))

    def how(self, path: str) -> How | None:
        with self._lock:
            for rule in self._rules:
                if path.startswith(rule.prefix) and rule.left != 0:
                    rule.left = None if rule.left is None else rule.left - 1
                    return rule.how
        return None

    def file(self, path: str) -> Path | None:
        if blob := re.fullmatch(r"/v1/blobs/sha256/([0-9a-f]{64})", path):
            name = blob[1]
            flat = self.root / "blobs" / name
            stored = self.root / "blobs" / "default" / "sha256" / name[:2] / name
            return next((place for place in (flat, stored) if place.is_file()), None)
        found = re.fullmatch(r"/v1/(tuf/[A-Za-z0-9._/-]+)", path)
        place = self.root / found[1] if found and ".." not in path else None
        return place if place is not None and place.is_file() else None


class _Handler(BaseHTTPRequestHandler):
    @property
    def world(self) -> UpdateServer:
        return self.server.world  # type: ignore[attr-defined, no-any-return]

    def log_message(self, *_: object) -> None:
        """Say nothing: tests read `requests`."""

    def do_GET(self) -> None:
        if self.world.before is not None:
            self.world.before(self.path)
        try:
            self._answer(self.world.how(self.path))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client had enough

    def _answer(self, how: How | None) -> None:
        file = self.world.file(self.path)
        if self.headers.get("Authorization") != f"Bearer {self.world.token}":
            return self._status(401)
        if isinstance(how, Status):
            return self._status(how.code)
        if isinstance(how, Stall) and how.after_bytes is None:
            self._keep(0)
            self.world.closing.wait()
            return None
        if isinstance(how, Replace):
            return self._send(200, how.data, how)
        if file is None:
            return self._status(404)
        return self._part(file.read_bytes(), how)

    def _part(self, data: bytes, how: How | None) -> None:
        asked = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", self.headers.get("Range") or "")
        if asked is None or isinstance(how, NoRange):
            return self._send(200, data, how)
        first, last = int(asked[1]), int(asked[2] or len(data) - 1)
        if first >= len(data) or last < first:
            return self._status(416, ("Content-Range", f"bytes */{len(data)}"))
        last = min(last, len(data) - 1)
        span = ("Content-Range", f"bytes {first}-{last}/{len(data)}")
        return self._send(206, data[first : last + 1], how, span)

    def _send(self, code: int, data: bytes, how: How | None, *headers: tuple[str, str]) -> None:
        if isinstance(how, Corrupt) and data:
            at = how.at % len(data)
            data = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        if isinstance(how, Longer):
            data += bytes(how.by_bytes)
        if not isinstance(how, Longer) or how.length:
            headers = (*headers, ("Content-Length", str(len(data))))
        if isinstance(how, Drip) and how.head:
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nX-Slow: ")
            self._drip(b"s" * 100_000, how.pause_s)
            return
        self._status(code, *headers)
        if isinstance(how, Drip):
            self._drip(data, how.pause_s)
        elif isinstance(how, Cut):
            self.wfile.write(data[: how.after_bytes])
        elif isinstance(how, Stall):
            self.wfile.write(data[: how.after_bytes])
            self.world.closing.wait()
        else:
            self.wfile.write(data)

    def _drip(self, data: bytes, pause_s: float) -> None:
        for byte in data:
            self.wfile.write(bytes([byte]))
            if self.world.closing.wait(pause_s):
                return

    def _status(self, code: int, *headers: tuple[str, str]) -> None:
        self._keep(code)
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def _keep(self, code: int) -> None:
        self.world.requests.append(Asked(self.path, self.headers.get("Range"), code))
