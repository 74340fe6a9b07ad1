# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy on a bad line: every connection is cut after a while, in the middle of anything."""

import random
import selectors
import socket
import threading
import time
from contextlib import suppress
from typing import Self


class CuttingProxy:
    """Listens on a free port of 127.0.0.1 from `__enter__` to `__exit__`.

    Args:
        target: where connections are passed on to.
        longest_s: that a connection lasts.

    Attributes:
        connections: how many there were.
        cuts: how many of them were cut.
        healed: set it to cut no more.
    """

    def __init__(self, target: tuple[str, int], longest_s: float) -> None:
        self._target = target
        self._longest_s = longest_s
        self._chance = random.Random(7)  # noqa: S311 - to be repeated, not secret
        self.connections = self.cuts = 0
        self.healed = threading.Event()
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._closing.is_set():
            with suppress(OSError):
                near, _ = self._listener.accept()
                self.connections += 1
                with near, socket.create_connection(self._target) as far:
                    self._pass(near, far)

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        lasting_s = self._chance.uniform(0.0, self._longest_s)
        end_s = time.monotonic() + lasting_s
        with selectors.DefaultSelector() as selector:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while not self._closing.is_set():
                if time.monotonic() > end_s and not self.healed.is_set():
                    self.cuts += 1
                    return
                for key, _ in selector.select(0.01):
                    line: socket.socket = key.fileobj  # type: ignore[assignment]
                    data = line.recv(self._chance.randrange(1, 4096))
                    if not data:
                        return
                    key.data.sendall(data)
