# SPDX-License-Identifier: Apache-2.0
"""The agent's end of the host protocol, and nothing else of an agent."""

import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from insight_edge.bundle.socket_address import socket_address
from insight_edge.documents.frames import (
    PREFIX_BYTES,
    frame_from_message,
    length_from_prefix,
    message_from_payload,
)
from insight_edge.documents.host import (
    SOCKET_NAME,
    Activate,
    AnyMessage,
    AskHealth,
    Health,
    Hello,
    Message,
    PredictionRow,
    Retire,
    TakenPredictions,
    TakenWindow,
    TakePredictions,
    TakeWindow,
)
from insight_edge.documents.report import Report

TIMEOUT_S = 20.0


class Agent:
    """One connection to a runtime host."""

    def __init__(self, state_dir: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with socket_address(state_dir / SOCKET_NAME) as address:
            self._socket.connect(address)
        self._socket.settimeout(TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def ask(self, message: Message) -> AnyMessage:
        self.send(message)
        answer = self.receive()
        if answer is None:
            raise ConnectionError("the host hung up")
        return answer

    def send(self, message: Message) -> None:
        self.send_bytes(frame_from_message(message))

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> AnyMessage | None:
        """Return the next message, or None where the host has hung up."""
        prefix = self._exactly(PREFIX_BYTES)
        return message_from_payload(self._exactly(length_from_prefix(prefix))) if prefix else None

    def hello(self) -> Hello:
        answer = self.ask(Hello())
        assert isinstance(answer, Hello)
        return answer

    def activate(self, slot: str) -> AnyMessage:
        return self.ask(Activate(slot=slot))

    def health(self) -> Health:
        answer = self.ask(AskHealth())
        assert isinstance(answer, Health)
        return answer

    def window(self) -> Report | None:
        answer = self.ask(TakeWindow())
        assert isinstance(answer, TakenWindow)
        return answer.report

    def predictions(self, limit: int = 256) -> tuple[PredictionRow, ...]:
        answer = self.ask(TakePredictions(limit=limit))
        assert isinstance(answer, TakenPredictions)
        return answer.rows

    def retire(self) -> AnyMessage:
        return self.ask(Retire())

    def _exactly(self, length_bytes: int) -> bytes:
        data = b""
        while len(data) < length_bytes:
            try:
                part = self._socket.recv(length_bytes - len(data))
            except ConnectionResetError:
                return b""
            if not part:
                return b""
            data += part
        return data
