# SPDX-License-Identifier: Apache-2.0
"""A broker that says what it is told to, byte by byte, and lets clients in like any other.

It answers CONNECT and SUBSCRIBE as MQTT 5 asks, or with `connack` and `suback`; after
these it says `then`. What is wrong with that is the point.
"""

import socket
import ssl
import threading
from contextlib import suppress
from typing import Self

CONNACK = b"\x20\x03\x00\x00\x00"
_SUBSCRIBE = 0x82


class OddBroker:
    """Listens on a free port of 127.0.0.1 from `__enter__` to `__exit__`.

    Args:
        connack: answer to a CONNECT; empty for none.
        suback: reason codes of the answer to a SUBSCRIBE; None for no answer.
        then: what it says when a client is in.
        hang_up: after that, or else it only listens.
        tls: to serve with.

    Attributes:
        connections: how many there were.
    """

    def __init__(
        self,
        *,
        connack: bytes = CONNACK,
        suback: bytes | None = b"\x01\x01\x01",
        then: bytes = b"",
        hang_up: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._connack, self._suback, self._then = connack, suback, then
        self._hang_up, self._tls = hang_up, tls
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(plain)
            with plain, suppress(OSError):
                self._talk(plain)

    def _talk(self, plain: socket.socket) -> None:
        line = plain if self._tls is None else self._tls.wrap_socket(plain, server_side=True)
        with line:
            _packet(line)
            line.sendall(self._connack)
            kind, body = _packet(line)
            if kind == _SUBSCRIBE and self._suback is not None:
                head = bytes([3 + len(self._suback)]) + body[:2] + b"\x00"
                line.sendall(b"\x90" + head + self._suback)
                line.sendall(self._then)
            while not self._hang_up and line.recv(65536):
                pass


def publish(topic: bytes, payload: bytes, *, claimed_bytes: int | None = None) -> bytes:
    """Return a PUBLISH of QoS 0 that claims to be as long as it is, or not."""
    body = len(topic).to_bytes(2) + topic + b"\x00" + payload
    length, digits = len(body) if claimed_bytes is None else claimed_bytes, b""
    while True:
        length, digit = divmod(length, 128)
        digits += bytes([digit | 128 if length else digit])
        if not length:
            return b"\x30" + digits + body


def _packet(line: socket.socket) -> tuple[int, bytes]:
    """Return first byte and body of the next packet, which is a short one."""
    head = _exactly(line, 2)
    length = head[1]
    if length & 128:
        length = (length & 127) + 128 * _exactly(line, 1)[0]
    return head[0], _exactly(line, length)


def _exactly(line: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = line.recv(length - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data
