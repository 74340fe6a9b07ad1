# SPDX-License-Identifier: Apache-2.0
"""The socket of a runtime host: who may connect, frames in, frames out (rules H1, H6)."""

import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from insight_edge.bundle.socket_address import socket_address
from insight_edge.documents.frames import (
    PREFIX_BYTES,
    frame_from_message,
    length_from_prefix,
    message_from_payload,
)
from insight_edge.documents.host import AnyMessage, Message
from insight_edge.errors import ConfigurationError, DocumentError

MAX_CONNECTIONS = 4
"""An agent, one that is just taking over from it, and a person who is looking."""

FRAME_TIMEOUT_S = 5.0
"""A frame once begun must be whole by then; between frames a client may be silent."""


def listen(path: Path) -> socket.socket:
    """Return a listening socket that only this user can connect to."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)  # of a host that was killed; the claim says it is gone
        with socket_address(path) as address:
            listener.bind(address)
        path.chmod(0o600)  # before `listen`: until then nobody can connect
        listener.listen(MAX_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"{path}: the host's socket cannot be made: {error}",
            hint="choose a writable state directory on a disk of this machine",
        ) from error
    return listener


def end(connections: Mapping[socket.socket, threading.Event]) -> None:
    """Hang up, and wait for requests under way, of which the events tell that they are done."""
    for connection in connections:
        hang_up(connection)
    for done in connections.values():
        done.wait()


def hang_up(connection: socket.socket) -> None:
    """End a connection, or listening, from another thread."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster


def receive(connection: socket.socket) -> AnyMessage | None:
    """Return the next request, or None where the client has left.

    Raises:
        DocumentError: the frame is malformed, too long or cut short.
        OSError: the connection broke, or the client stalled in a frame.
    """
    connection.settimeout(None)
    first = connection.recv(1)
    if not first:
        return None
    deadline_s = time.monotonic() + FRAME_TIMEOUT_S
    prefix = first + _exactly(connection, PREFIX_BYTES - 1, deadline_s)
    return message_from_payload(_exactly(connection, length_from_prefix(prefix), deadline_s))


def _exactly(connection: socket.socket, length_bytes: int, deadline_s: float) -> bytes:
    data = bytearray()
    while len(data) < length_bytes:
        connection.settimeout(max(0.001, deadline_s - time.monotonic()))
        part = connection.recv(min(65536, length_bytes - len(data)))
        if not part:
            raise DocumentError("message: cut short")
        data += part
    return bytes(data)


def send(connection: socket.socket, message: Message) -> None:
    """Send one answer.

    Raises:
        OSError: the client left, or does not read.
    """
    connection.settimeout(FRAME_TIMEOUT_S)
    connection.sendall(frame_from_message(message))
