# SPDX-License-Identifier: Apache-2.0
"""Fetch one small file over HTTP for the TUF client: bounded in bytes, in silence and in time.

Redirects are not followed and nothing is unpacked, so neither the token nor the
bounds go anywhere else. Blobs, which are large and resumed, are not fetched
here. Whether the bytes may be believed is decided by `fleet.trust`.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from threading import Event, Timer
from typing import Final

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    SlowRetrievalError,
)
from tuf.ngclient.fetcher import FetcherInterface
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util import parse_url

CHUNK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a file may take.

    Attributes:
        silence_s: without a connection or a byte.
        total_s: from the first attempt to connect to the last byte; a server that sends a byte
            now and then is never silent.
    """

    silence_s: float = 15.0
    total_s: float = 120.0


class Fetcher(FetcherInterface):
    """Fetches files that are shown to this device alone.

    Args:
        secret: the bearer token.
        patience: for each file.
        max_bytes: no file is read beyond; what asks for it bounds it closer.
    """

    def __init__(self, secret: str, patience: Patience, *, max_bytes: int) -> None:
        self._secret = secret
        self._patience = patience
        self._max_bytes = max_bytes

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Return the file in pieces.

        Raises:
            DownloadHTTPError: the server answered anything but 200.
            DownloadLengthMismatchError: there are more bytes than are ever read.
            SlowRetrievalError: the server was silent, or took too long.
            DownloadError: the server cannot be reached, or ended too early.
        """
        connection = _connection(url, self._patience.silence_s)
        with _in_time(connection, self._patience.total_s):
            connection.request(
                "GET",
                parse_url(url).request_uri,
                headers={
                    "Authorization": f"Bearer {self._secret}",
                    "Accept-Encoding": "identity",
                },
                preload_content=False,
                decode_content=False,
            )
            return iter(_body(connection.getresponse(), self._max_bytes))


def _connection(url: str, silence_s: float) -> HTTPConnection:
    address = parse_url(url)
    kinds = {"http": HTTPConnection, "https": HTTPSConnection}
    if address.scheme not in kinds or address.host is None:
        raise DownloadError(f"{url}: not an HTTP address")
    return kinds[address.scheme](address.host.strip("[]"), address.port, timeout=silence_s)


@contextmanager
def _in_time(connection: HTTPConnection, total_s: float) -> Iterator[None]:
    """Connect, shut the connection when the time is over, say in TUF's words what went wrong.

    A timeout of the socket starts again with every byte, also within a status line; only another
    thread can end what drips. What then looks like the end of a file is none.
    """
    late = Event()
    connected: list[socket.socket] = []

    def end() -> None:
        late.set()
        for sock in [*connected, *([connection.sock] if connection.sock is not None else [])]:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    timer = Timer(total_s, end)
    timer.daemon = True
    timer.start()
    try:
        connection.connect()
        # Kept here too: the connection forgets its socket once a response is read from it.
        connected.append(connection.sock)
        _refuse_late(late)
        yield
        _refuse_late(late)
    except (HTTPError, HTTPException, OSError, ValueError, DownloadError) as error:
        if late.is_set():
            raise SlowRetrievalError(f"took longer than {total_s:.0f} s") from error
        if isinstance(error, DownloadError):
            raise
        raise DownloadError(_line(error)) from error
    finally:
        timer.cancel()
        timer.join()
        connection.close()


def _refuse_late(late: Event) -> None:
    if late.is_set():
        raise TimeoutError


def _body(response: BaseHTTPResponse, max_bytes: int) -> list[bytes]:
    try:
        if response.status != 200:
            raise DownloadHTTPError(f"HTTP status {response.status}", response.status)
        if not ("content-length" in response.headers or "transfer-encoding" in response.headers):
            # Its end could not be told from a connection that was cut.
            raise DownloadError("the server does not say how long the file is")
        parts, length_bytes = [], 0
        while part := response.read1(CHUNK_BYTES):
            parts.append(part)
            length_bytes += len(part)
            if length_bytes > max_bytes:
                raise DownloadLengthMismatchError(f"more than {max_bytes} bytes")
        return parts
    finally:
        response.close()


def _line(error: Exception) -> str:
    """Return what went wrong without the connection's address in memory, and never a header."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
