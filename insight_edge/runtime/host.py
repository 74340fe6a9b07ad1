# SPDX-License-Identifier: Apache-2.0
"""The host protocol's serving end: a Unix socket on which the agent asks.

One thread accepts, one thread a connection answers (rules H1 to H6 in
docs/formats/host.md). Nothing a client sends can end the host: a malformed frame
is refused and its connection closed, a stalled one is dropped. A report or a
prediction is confirmed by the next request on the same connection; where that
never comes, it is handed over again. This module decides nothing.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from insight_edge.documents.frames import (
    PREFIX_BYTES,
    frame_from_message,
    length_from_prefix,
    message_from_payload,
)
from insight_edge.documents.host import (
    Activate,
    Activated,
    AnyMessage,
    AskHealth,
    Health,
    Hello,
    Message,
    PredictionRow,
    Refused,
    Retire,
    Retired,
    SwapRecord,
    TakenPredictions,
    TakenWindow,
    TakePredictions,
    TakeWindow,
)
from insight_edge.documents.report import Report
from insight_edge.errors import ConfigurationError, DocumentError, InsightEdgeError
from insight_edge.runtime.phases import REQUEST, refused

SOCKET_NAME = "host.sock"
MAX_CONNECTIONS = 4
"""An agent, one that is just taking over from it, and a person who is looking."""

MAX_PREDICTIONS = 256
FRAME_TIMEOUT_S = 5.0
"""A frame once begun must be whole by then; between frames a client may be silent."""

BACK_OFF_S = 0.2

_log = logging.getLogger(__name__)

Confirm = Callable[[], None]


class Doors(Protocol):
    """What the host asks of the runtime; every door may be used from any thread."""

    def hello(self) -> Hello:
        """Return what this host is."""
        ...

    def activate(self, slot: str) -> SwapRecord:
        """Swap to the bundle in a slot."""
        ...

    def health(self) -> Health:
        """Return how the open window is going."""
        ...

    def oldest_report(self) -> Report | None:
        """Return the next report, which stays until it is confirmed."""
        ...

    def confirm_report(self, report: Report) -> None:
        """Forget a report."""
        ...

    def oldest_predictions(self, limit: int) -> tuple[PredictionRow, ...]:
        """Return sampled predictions, which stay until they are confirmed."""
        ...

    def confirm_predictions(self, rows: tuple[PredictionRow, ...]) -> None:
        """Forget sampled predictions."""
        ...

    def retire(self) -> None:
        """Unload what is not serving."""
        ...


class Host:
    """Serves the protocol on a socket until `stop`.

    Raises:
        ConfigurationError: the socket cannot be made there.
    """

    def __init__(self, doors: Doors, state_dir: Path) -> None:
        self._doors = doors
        self._path = state_dir / SOCKET_NAME
        self._listener = _listen(self._path)
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._accept, name="insight-edge host", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the socket and every connection, and wait for requests under way."""
        with self._lock:
            self._stopping = True
            _hang_up(self._listener)
            open_connections = dict(self._connections)
        for connection in open_connections:
            _hang_up(connection)
        self._thread.join()
        for thread in open_connections.values():
            thread.join()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._stopping:
                    return
                time.sleep(BACK_OFF_S)  # out of descriptors: others will be closed
                continue
            self._admit(connection)

    def _admit(self, connection: socket.socket) -> None:
        with self._lock:
            if self._stopping or len(self._connections) >= MAX_CONNECTIONS:
                connection.close()
                return
            thread = threading.Thread(
                target=self._serve, args=(connection,), name="insight-edge client", daemon=True
            )
            self._connections[connection] = thread
        thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._converse(connection)
        except OSError as error:
            _log.info("host protocol: connection lost: %s", error)
        finally:
            with self._lock:
                self._connections.pop(connection, None)

    def _converse(self, connection: socket.socket) -> None:
        """Answer request after request until the client leaves or says what cannot be meant."""
        confirm, greeted = _nothing, False
        while True:
            try:
                request = _receive(connection)
                if request is None:
                    return
                confirm()
                greeted = _refuse_ungreeted(request, greeted=greeted)
            except DocumentError as error:
                _send(connection, refused(error))
                return
            answer, confirm = self._answer(request)
            _send(connection, answer)

    def _answer(self, request: AnyMessage) -> tuple[Message, Confirm]:
        """Return the answer to one request, and what to do once it has arrived."""
        try:
            match request:
                case TakeWindow():
                    return self._window()
                case TakePredictions(limit=limit):
                    return self._predictions(min(limit, MAX_PREDICTIONS))
                case _:
                    return self._act(request), _nothing
        except InsightEdgeError as error:
            return refused(error), _nothing
        except Exception as error:  # noqa: BLE001 (the protocol survives whatever a door does)
            _log.exception("host protocol: a request failed")
            kind = type(error).__name__
            return Refused(phase=REQUEST, kind=kind, reason=f"{kind}: {error}"), _nothing

    def _act(self, request: AnyMessage) -> Message:
        match request:
            case Hello():
                return self._doors.hello()
            case Activate(slot=slot):
                return Activated(slot=slot, record=self._doors.activate(slot))
            case AskHealth():
                return self._doors.health()
            case Retire():
                self._doors.retire()
                return Retired()
            case _:
                raise DocumentError(f"a {type(request).__name__} is an answer, not a request")

    def _window(self) -> tuple[Message, Confirm]:
        report = self._doors.oldest_report()
        if report is None:
            return TakenWindow(report=None), _nothing
        return TakenWindow(report=report), lambda: self._doors.confirm_report(report)

    def _predictions(self, limit: int) -> tuple[Message, Confirm]:
        rows = self._doors.oldest_predictions(limit)
        return TakenPredictions(rows=rows), lambda: self._doors.confirm_predictions(rows)


def _nothing() -> None:
    """Confirm an answer that leaves nothing behind."""


def _refuse_ungreeted(request: AnyMessage, *, greeted: bool) -> bool:
    if not (greeted or isinstance(request, Hello)):
        raise DocumentError("the first message must be a hello")
    return True


def _listen(path: Path) -> socket.socket:
    """Return a listening socket that only this user can connect to."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)  # of a host that was killed; the claim says it is gone
        listener.bind(str(path))
        path.chmod(0o600)  # before `listen`: until then nobody can connect
        listener.listen(MAX_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"{path}: the host's socket cannot be made: {error}",
            hint="choose a writable state directory with a path of under 90 characters",
        ) from error
    return listener


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster


def _receive(connection: socket.socket) -> AnyMessage | None:
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


def _send(connection: socket.socket, message: Message) -> None:
    connection.settimeout(FRAME_TIMEOUT_S)
    connection.sendall(frame_from_message(message))
