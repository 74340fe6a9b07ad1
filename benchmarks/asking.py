# SPDX-License-Identifier: Apache-2.0
"""A client of HTTP that costs next to nothing: bytes made beforehand, a connection a thread."""

import socket
import threading

from insight_edge.errors import MeasurementError

TIMEOUT_S = 60.0


class Asker:
    """Sends requests to a port of this machine and returns the bodies of the answers.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._own = threading.local()
        self._clients: list[socket.socket] = []

    def close(self) -> None:
        """Hang up."""
        for client in self._clients:
            client.close()

    def __call__(self, request: bytes) -> bytes:
        """Return the body that answers a request.

        Raises:
            MeasurementError: it was refused, or has no length.
            OSError: the server is not there, or hung up.
        """
        client = self._client()
        client.sendall(request)
        data = client.recv(262144)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more(client)
        head = data[:end].lower()
        if not head.startswith((b"http/1.1 200", b"http/1.0 200")):
            raise MeasurementError(f"a server said {head.splitlines()[0].decode()}")
        _, found, rest = head.partition(b"\r\ncontent-length:")
        if not found:
            raise MeasurementError("a server gave an answer without a length")
        whole = end + 4 + int(rest.split(b"\r\n", 1)[0])
        while len(data) < whole:
            data += self._more(client)
        return data[end + 4 :]

    def _client(self) -> socket.socket:
        client: socket.socket | None = getattr(self._own, "client", None)
        if client is None:
            client = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_S)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._own.client = client
            self._clients.append(client)
        return client

    def _more(self, client: socket.socket) -> bytes:
        part = client.recv(262144)
        if not part:
            raise ConnectionError("the server hung up")
        return part
