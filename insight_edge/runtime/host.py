# SPDX-License-Identifier: Apache-2.0
"""The host protocol's serving end: a Unix socket on which the agent asks.

One thread accepts, one thread a connection answers (rules H1 to H7 in
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

from insight_edge.documents.desired import Challenging
from insight_edge.documents.host import (
    SOCKET_NAME,
    Activate,
    Activated,
    AnyMessage,
    AskHealth,
    Compare,
    Compared,
    Health,
    Hello,
    Message,
    OutcomeRow,
    PredictionRow,
    Refused,
    Retire,
    Retired,
    SwapRecord,
    TakenOutcomes,
    TakenPredictions,
    TakenWindow,
    TakeOutcomes,
    TakePredictions,
    TakeWindow,
)
from insight_edge.documents.report import Report
from insight_edge.errors import DocumentError, InsightEdgeError
from insight_edge.runtime.host_socket import (
    MAX_CONNECTIONS,
    end,
    hang_up,
    listen,
    receive,
    send,
)
from insight_edge.runtime.phases import REQUEST, refused

MAX_ROWS = 256
"""Predictions or outcomes in one answer."""

HAND_OVER_S = 2.0
"""So long a host that has nothing more to do waits until the agent has all that it counted."""

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

    def challenge(self, wanted: Challenging | None) -> str | None:
        """Begin or end a comparison; return the digest of what challenges then."""
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

    def oldest_outcomes(self, limit: int) -> tuple[OutcomeRow, ...]:
        """Return outcomes, which stay until they are confirmed."""
        ...

    def dropped_outcomes(self) -> tuple[int, int]:
        """Return the number of this boot, and how many outcomes had no room in it."""
        ...

    def confirm_outcomes(self, rows: tuple[OutcomeRow, ...]) -> None:
        """Forget outcomes."""
        ...

    def all_taken(self) -> bool:
        """Return whether somebody else is responsible for all that was counted."""
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
        self._listener = listen(self._path)
        self._connections: dict[socket.socket, threading.Event] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._leaving = self._accompanied = False
        self._taken = threading.Condition()
        self._handing_over = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="insight-edge host", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Hang up, wait for requests under way, and let whoever comes wait for `hand_over`."""
        with self._lock:
            self._leaving = True
            open_connections = dict(self._connections)
        self._accompanied = bool(open_connections)
        end(open_connections)

    def hand_over(self, *, awaited: bool, timeout_s: float = HAND_OVER_S) -> None:
        """Let an agent take what is left, for a while.

        Args:
            awaited: there may be an agent that has not found this host yet; without it only one
                that was there when `leave` was called is waited for.
            timeout_s: at most so long.
        """
        self._handing_over.set()
        if awaited or self._accompanied:
            with self._taken:
                self._taken.wait_for(self._doors.all_taken, timeout_s)

    def stop(self) -> None:
        """Close the socket and every connection, and wait for requests under way."""
        with self._lock:
            self._stopping = True
            hang_up(self._listener)
            open_connections = dict(self._connections)
        self._handing_over.set()
        end(open_connections)
        self._thread.join()
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
            done = self._connections[connection] = threading.Event()
            thread = threading.Thread(
                target=self._serve,
                args=(connection, done, self._leaving),
                name="insight-edge client",
                daemon=True,
            )
        thread.start()

    def _serve(self, connection: socket.socket, done: threading.Event, waits: bool) -> None:
        try:
            with connection:
                if waits:
                    self._handing_over.wait()
                self._converse(connection)
        except OSError as error:
            _log.info("host protocol: connection lost: %s", error)
        finally:
            with self._lock:
                self._connections.pop(connection, None)
            done.set()

    def _converse(self, connection: socket.socket) -> None:
        """Answer request after request until the client leaves or says what cannot be meant."""
        confirm, greeted = _nothing, False
        while True:
            try:
                request = receive(connection)
                if request is None:
                    return
                self._confirm(confirm)
                greeted = _refuse_ungreeted(request, greeted=greeted)
            except DocumentError as error:
                send(connection, refused(error))
                return
            answer, confirm = self._answer(request)
            send(connection, answer)

    def _confirm(self, confirm: Confirm) -> None:
        confirm()
        with self._taken:
            self._taken.notify_all()

    def _answer(self, request: AnyMessage) -> tuple[Message, Confirm]:
        """Return the answer to one request, and what to do once it has arrived."""
        try:
            match request:
                case TakeWindow():
                    return self._window()
                case TakePredictions(limit=limit):
                    return self._predictions(min(limit, MAX_ROWS))
                case TakeOutcomes(limit=limit):
                    return self._outcomes(min(limit, MAX_ROWS))
                case _:
                    return self._act(request), _nothing
        except InsightEdgeError as error:
            return refused(error), _nothing
        except ConnectionAbortedError:
            raise
        except Exception as error:  # noqa: BLE001 (the protocol survives whatever a door does)
            _log.exception("host protocol: a request failed")
            kind = type(error).__name__
            return Refused(phase=REQUEST, kind=kind, reason=f"{kind}: {error}"), _nothing

    def _act(self, request: AnyMessage) -> Message:
        match request:
            case Hello():
                return self._doors.hello()
            case Activate() if self._leaving:
                # Not refused: that would be the bundle's end at this revision.
                raise ConnectionAbortedError("the host is leaving")
            case Activate(slot=slot):
                return Activated(slot=slot, record=self._doors.activate(slot))
            case Compare() if self._leaving:
                raise ConnectionAbortedError("the host is leaving")
            case Compare(wanted=wanted):
                return Compared(bundle=self._doors.challenge(wanted))
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

    def _outcomes(self, limit: int) -> tuple[Message, Confirm]:
        rows = self._doors.oldest_outcomes(limit)
        boot, dropped = self._doors.dropped_outcomes()
        answer = TakenOutcomes(rows=rows, boot=boot, dropped=dropped)
        return answer, lambda: self._doors.confirm_outcomes(rows)


def _nothing() -> None:
    """Confirm an answer that leaves nothing behind."""


def _refuse_ungreeted(request: AnyMessage, *, greeted: bool) -> bool:
    if not (greeted or isinstance(request, Hello)):
        raise DocumentError("the first message must be a hello")
    return True
