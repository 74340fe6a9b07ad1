# SPDX-License-Identifier: Apache-2.0
"""Speak the host protocol, where one day the device agent will.

It puts a bundle into the idle slot and asks the host to activate it. It
downloads nothing, keeps no journal and decides nothing.
"""

import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from insight_edge.bundle.slots import Slots
from insight_edge.documents.frames import (
    PREFIX_BYTES,
    frame_from_message,
    length_from_prefix,
    message_from_payload,
)
from insight_edge.documents.host import (
    Activate,
    Activated,
    Hello,
    Message,
    Refused,
    SwapRecord,
    TakenWindow,
    TakeWindow,
)
from insight_edge.documents.report import Report
from insight_edge.errors import UpdateError

TIMEOUT_S = 60.0


class Driver:
    """A connection to the host that serves a state directory."""

    def __init__(self, state: Path) -> None:
        self._slots = Slots(state)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(str(state / "host.sock"))
        self._ask(Hello())

    def swap(self, bundle: Path) -> tuple[SwapRecord, int, int]:
        """Stage and activate a bundle; return the record and when it began and ended.

        Times are of the monotonic clock, in nanoseconds.

        Raises:
            UpdateError: the host refused it.
        """
        slot = self._slots.stage(bundle)
        began_ns = time.monotonic_ns()
        answer = self._ask(Activate(slot=slot))
        ended_ns = time.monotonic_ns()
        if isinstance(answer, Refused):
            raise UpdateError(f"the host refused it in {answer.phase}: {answer.reason}")
        if not isinstance(answer, Activated):
            raise UpdateError(f"the host answered {type(answer).__name__} to activate")
        return answer.record, began_ns, ended_ns

    def take_reports(self) -> tuple[Report, ...]:
        """Close the open window and return the reports of all windows, the oldest first.

        Raises:
            UpdateError: the host refused.
        """
        reports: list[Report] = []
        while True:
            answer = self._ask(TakeWindow())
            if not isinstance(answer, TakenWindow):
                raise UpdateError(f"the host answered {type(answer).__name__} to window")
            if answer.report is None:
                return tuple(reports)
            reports.append(answer.report)

    def __enter__(self) -> Self:
        """Return the driver itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self._socket.close()

    def _ask(self, message: Message) -> Message:
        self._socket.sendall(frame_from_message(message))
        length_bytes = length_from_prefix(self._receive(PREFIX_BYTES))
        return message_from_payload(self._receive(length_bytes))

    def _receive(self, length_bytes: int) -> bytes:
        parts = b""
        while len(parts) < length_bytes:
            part = self._socket.recv(length_bytes - len(parts))
            if not part:
                raise UpdateError("the host closed the connection")
            parts += part
        return parts
