# SPDX-License-Identifier: Apache-2.0
"""Download one file over HTTP: resumed where it was left, and only ever the right bytes.

The digest and the length are known before (the manifest says them), and nothing
the server says is believed against them. Redirects are not followed and nothing
is unpacked, so neither the token nor the bounds go anywhere else. One attempt is
made here; when to make another is decided by `fleet.update`.
"""

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Final

from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, LocationParseError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Url, parse_url

from insight_edge.errors import (
    ConfigurationError,
    DeniedError,
    DownloadError,
    GoneError,
    StoppedError,
    StorageError,
    TamperedError,
)
from insight_edge.fleet.transfer.addresses import refuse_open_address
from insight_edge.fleet.transfer.part import Part
from insight_edge.fleet.transfer.watch import Pace, Watch

CHUNK_BYTES: Final = 64 * 1024

_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")
_NUMBER = re.compile(r"[0-9]{1,19}")
_GONE, _LATER = (404, 410), (408, 425, 429)
_PARTIAL, _BEYOND = 206, 416
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where files come from, and how.

    Attributes:
        cloud: base address of the cloud's HTTP door.
        token: shown to it; None for none.
        ca: file of the certificates that may sign the cloud's; the system's for None.
    """

    cloud: str
    token: str | None = field(default=None, repr=False)
    ca: str | None = None
    pace: Pace = field(default_factory=Pace)

    def blob(self, sha256: str) -> str:
        """Return the address of a file."""
        return f"{self.cloud.rstrip('/')}/v1/blobs/sha256/{sha256}"


def fetch(
    source: Source,
    destination: Path,
    *,
    sha256: str,
    length_bytes: int,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Download a file to `destination`, by way of `.<name>.part` beside it.

    Args:
        source: of the file.
        destination: a name in an existing directory.
        sha256: of the file, 64 hexadecimal digits.
        length_bytes: of the file; never is more written.
        stop: asked now and then, from another thread, whether to give up.
        progress: told how many bytes of the file are there.

    Raises:
        ConfigurationError: the address is none, or neither TLS nor loopback.
        TamperedError: the server has other bytes, or more of them; the part is gone.
        GoneError: the server does not have it.
        DeniedError: the server does not give it to this device.
        StoppedError: `stop` said so; the part stays.
        DownloadError: the server is too slow, fails or cannot be reached; the part stays.
        StorageError: there is no room, or the disk cannot be written.
    """
    refuse_open_address(source.cloud)
    with Part(destination, sha256=sha256, length_bytes=length_bytes) as part:
        download = _Download(source, source.blob(sha256), part, stop, progress)
        if not (download.complete() or part.is_right()):
            # A power cut may have left other bytes than those that were received before it.
            part.empty()
            download.complete()
        if part.is_right():
            part.finish()
            return
        part.remove()
        raise TamperedError(f"{download.url}: what was sent has another digest")


@dataclass(frozen=True)
class _Download:
    """One file of one source on its way to one part."""

    source: Source
    url: str
    part: Part
    stop: Callable[[], bool]
    progress: Callable[[int], None]

    def complete(self) -> bool:
        """Receive what is missing; return whether every byte that is there came just now."""
        self.progress(self.part.held_bytes)
        if self.part.left_bytes == 0:
            return False
        self.part.refuse_full_disk()
        address = _parsed(self.url)
        connection = HTTPConnection(
            (address.host or "").strip("[]"),
            address.port or _PORTS[address.scheme or ""],
            timeout=self.source.pace.connect_s,
        )
        with self._watched(connection) as watch:
            self._connect(connection, watch, tls=address.scheme == "https")
            with closing(self._ask(connection, address)) as answer:
                if watch.cut is not None:
                    raise TimeoutError  # a head that ends too early reads like a whole one
                held_bytes = self._taken_up(answer)
                self._receive(answer, watch)
        return held_bytes == 0

    @contextmanager
    def _watched(self, connection: HTTPConnection) -> Iterator[Watch]:
        """Watch a connection, and say in one line what went wrong with it."""
        pace = self.source.pace
        watch = Watch(pace, self.stop)
        try:
            with watch:
                yield watch
        except (HTTPError, HTTPException, OSError, ValueError, DownloadError) as error:
            if watch.cut == "stopped":
                raise StoppedError(f"{self.url}: stopped") from error
            if watch.cut == "slow" or isinstance(error, TimeoutError | ReadTimeoutError):
                bound = f"under {pace.least_bytes} bytes in {pace.window_s:g} s"
                raise DownloadError(f"{self.url}: too slow: {bound}") from error
            if isinstance(error, DownloadError):
                raise
            raise DownloadError(f"{self.url}: {_line(error)}") from error
        finally:
            connection.close()

    def _connect(self, connection: HTTPConnection, watch: Watch, *, tls: bool) -> None:
        connection.connect()
        watch.connected(connection.sock)
        connection.timeout = 2 * self.source.pace.window_s  # the watch is to find out first
        connection.sock.settimeout(connection.timeout)
        if tls:
            # Not urllib3's own: nobody could end a handshake that drips.
            context = ssl.create_default_context(cafile=self.source.ca)
            connection.sock = context.wrap_socket(connection.sock, server_hostname=connection.host)

    def _ask(self, connection: HTTPConnection, address: Url) -> BaseHTTPResponse:
        headers = {"Accept-Encoding": "identity", "Host": address.netloc or ""}
        if self.source.token is not None:
            headers["Authorization"] = f"Bearer {self.source.token}"
        if self.part.held_bytes:
            headers["Range"] = f"bytes={self.part.held_bytes}-"
        connection.request(
            "GET",
            address.request_uri,
            headers=headers,
            preload_content=False,
            decode_content=False,
        )
        return connection.getresponse()

    def _taken_up(self, answer: BaseHTTPResponse) -> int:
        """Return from which byte on the answer goes, or refuse it; there the part ends now."""
        _refuse_status(self.url, answer.status)
        if answer.status == _BEYOND:
            self.part.empty()
            raise DownloadError(f"{self.url}: the server has less than was received before")
        if answer.status == _PARTIAL:
            self._refuse_range(answer.headers.get("Content-Range", ""))
            return self.part.held_bytes
        if self.part.held_bytes:
            self.part.empty()
        self._refuse_length(answer.headers.get("Content-Length"))
        return 0

    def _receive(self, answer: BaseHTTPResponse, watch: Watch) -> None:
        while data := answer.read1(CHUNK_BYTES):
            watch.arrived(len(data))
            if len(data) > self.part.left_bytes:
                raise self._longer("more")
            self._append(data)
            self.progress(self.part.held_bytes)
        if self.part.left_bytes:
            raise DownloadError(f"{self.url}: ended {self.part.left_bytes} bytes too early")

    def _append(self, data: bytes) -> None:
        try:
            self.part.append(data)
        except StorageError:
            # What goes on serving and reporting needs the room more.
            self.part.remove()
            raise

    def _refuse_range(self, text: str) -> None:
        found, first = _RANGE.fullmatch(text), self.part.held_bytes
        if found is not None and found[3] != "*":
            self._refuse_length(found[3])
        asked = (str(first), str(self.part.length_bytes - 1))
        if not first or found is None or (found[1], found[2]) != asked:
            raise DownloadError(
                f"{self.url}: asked for the bytes from {first} on, the server sent {text[:60]!r}"
            )

    def _refuse_length(self, declared: str | None) -> None:
        """Refuse another length than the manifest's before a byte of it is read."""
        if declared is None or declared == str(self.part.length_bytes):
            return
        if _NUMBER.fullmatch(declared) and int(declared) > self.part.length_bytes:
            raise self._longer(declared)
        # A connection that breaks in the head cuts digits off, so less is no sign of an attack.
        raise DownloadError(
            f"{self.url}: {declared[:20]!r} bytes, the manifest says {self.part.length_bytes}"
        )

    def _longer(self, found: str) -> TamperedError:
        self.part.remove()
        return TamperedError(
            f"{self.url}: {found} bytes, the manifest says {self.part.length_bytes}"
        )


def _parsed(url: str) -> Url:
    try:
        return parse_url(url)
    except LocationParseError as error:
        raise ConfigurationError(f"'{url[:100]}' is not an address") from error


def _refuse_status(url: str, status: int) -> None:
    if status in {200, _PARTIAL, _BEYOND}:
        return
    said = f"{url}: HTTP status {status}"
    if status in _GONE:
        raise GoneError(said, hint="the file was withdrawn; publish the bundle again")
    if 300 <= status < 500 and status not in _LATER:
        raise DeniedError(said, hint="is the device still enrolled?" if status < 404 else None)
    raise DownloadError(said)


def _line(error: Exception) -> str:
    """Return what went wrong, never a header: one that is malformed is quoted by its error."""
    if isinstance(error, ValueError):
        return type(error).__name__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
