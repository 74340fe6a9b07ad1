# SPDX-License-Identifier: Apache-2.0
"""End a connection that is too slow, or that nobody wants any more.

A timeout of a socket starts again with every byte, also within a status line or
a handshake: a server that sends one byte now and then holds its client for ever.
Only another thread can end such a read, by shutting the socket under it.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

POLL_S = 0.1
"""How soon a stop is noticed."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How slow a server may be.

    Attributes:
        connect_s: until it accepts the connection.
        window_s: in which `least_bytes` must arrive, from connecting on; a file's last few bytes
            must arrive in one window too.
    """

    connect_s: float = 15.0
    window_s: float = 30.0
    least_bytes: int = 16 * 1024


class Watch:
    """Watches one connection while it is a context.

    Args:
        pace: that it must keep.
        stop: asked from another thread whether to end it.

    Attributes:
        cut: why the connection was shut, None where it was not.
    """

    def __init__(self, pace: Pace, stop: Callable[[], bool]) -> None:
        self.cut: Literal["slow", "stopped"] | None = None
        self._pace = pace
        self._stop = stop
        self._socket: socket.socket | None = None
        self._arrived_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="insight-edge watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._socket is not None:
            self._socket.close()

    def connected(self, connection: socket.socket) -> None:
        """Hold a connection that was made just now, before anything is said on it.

        TLS and a response take a socket from its first owner; a duplicate stays.
        """
        self._socket = connection.dup()

    def arrived(self, length_bytes: int) -> None:
        """Note that bytes arrived."""
        self._arrived_bytes += length_bytes

    def _run(self) -> None:
        seen_bytes, since_s = 0, time.monotonic()
        while not self._done.wait(min(POLL_S, self._pace.window_s / 4)):
            if self.cut is None and self._stop():
                self.cut = "stopped"
            if time.monotonic() - since_s >= self._pace.window_s:
                if self.cut is None and self._arrived_bytes - seen_bytes < self._pace.least_bytes:
                    self.cut = "slow"
                seen_bytes, since_s = self._arrived_bytes, time.monotonic()
            if self.cut is not None:
                self._shut()

    def _shut(self) -> None:
        """Shut the connection; one that is made later is shut by the next turn."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
