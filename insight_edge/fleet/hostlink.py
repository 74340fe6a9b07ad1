# SPDX-License-Identifier: Apache-2.0
"""The agent's end of the host protocol: one connection to the runtime host of a deployment.

A report and predictions stay with the host until the next request on the same
connection (rule H5 in docs/formats/host.md), so whoever takes them puts them
away before asking anything else. This module decides nothing and retries nothing.
"""

import socket
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self, TypeVar

from insight_edge.bundle.socket_address import socket_address
from insight_edge.documents.desired import Challenging
from insight_edge.documents.frames import (
    PREFIX_BYTES,
    frame_from_message,
    length_from_prefix,
    message_from_payload,
)
from insight_edge.documents.host import (
    PROTOCOL_VERSION,
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
    PredictionRow,
    Refused,
    Retire,
    Retired,
    TakenOutcomes,
    TakenPredictions,
    TakenWindow,
    TakeOutcomes,
    TakePredictions,
    TakeWindow,
)
from insight_edge.documents.report import Report
from insight_edge.errors import DocumentError, HostError

TIMEOUT_S = 10.0
ACTIVATION_TIMEOUT_S = 120.0
"""A large artifact compiles at load, and a call that hangs holds the drain for 30 s."""

M = TypeVar("M", bound=AnyMessage)


class HostLink:
    """A connection to the host that serves a deployment's state directory; a context manager.

    Attributes:
        hello: what the host said of itself when the connection was made.

    Raises:
        HostError: nobody listens there, or not in this protocol; so of every method, after
            which the connection is of no more use.
    """

    def __init__(self, deployment_dir: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._path = deployment_dir / SOCKET_NAME
        self._timeout_s = timeout_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout_s)
            with socket_address(self._path) as address:
                self._socket.connect(address)
            self.hello = self._ask(Hello(), Hello)
            self._refuse_protocol()
        except BaseException as error:
            self._socket.close()
            if isinstance(error, OSError):
                raise self._gone(error) from error
            raise

    def activate(self, slot: str) -> Activated | Refused:
        """Ask the host to swap to the bundle in a slot; this takes as long as the swap."""
        self._socket.settimeout(ACTIVATION_TIMEOUT_S)
        try:
            answer = self._talk(Activate(slot=slot))
        finally:
            self._socket.settimeout(self._timeout_s)
        return answer if isinstance(answer, Activated | Refused) else self._odd(answer)

    def challenge(self, wanted: Challenging | None) -> Compared | Refused:
        """Ask the host to compare what is in the challenger's slot, or to end that."""
        self._socket.settimeout(ACTIVATION_TIMEOUT_S)
        try:
            answer = self._talk(Compare(wanted=wanted))
        finally:
            self._socket.settimeout(self._timeout_s)
        return answer if isinstance(answer, Compared | Refused) else self._odd(answer)

    def health(self) -> Health:
        """Return how the open window is going."""
        return self._ask(AskHealth(), Health)

    def take_report(self) -> Report | None:
        """Return the oldest closed window, None where nothing was asked since the last."""
        return self._ask(TakeWindow(), TakenWindow).report

    def take_predictions(self, limit: int = 256) -> tuple[PredictionRow, ...]:
        """Return sampled results."""
        return self._ask(TakePredictions(limit=limit), TakenPredictions).rows

    def take_outcomes(self, limit: int = 256) -> TakenOutcomes:
        """Return what turned out to be true, and how much of it had no room."""
        return self._ask(TakeOutcomes(limit=limit), TakenOutcomes)

    def fileno(self) -> int:
        """Return the descriptor; it is readable between requests once the host has hung up."""
        return self._socket.fileno()

    def retire(self) -> None:
        """Let the host free what is not serving."""
        self._ask(Retire(), Retired)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, message: Message, expected: type[M]) -> M:
        answer = self._talk(message)
        return answer if isinstance(answer, expected) else self._odd(answer)

    def _talk(self, message: Message) -> AnyMessage:
        try:
            self._socket.sendall(frame_from_message(message))
            length_bytes = length_from_prefix(self._exactly(PREFIX_BYTES))
            return message_from_payload(self._exactly(length_bytes))
        except OSError as error:
            raise self._gone(error) from error
        except DocumentError as error:
            raise HostError(f"{self._path}: {error}") from error

    def _odd(self, answer: AnyMessage) -> NoReturn:
        what = answer.reason if isinstance(answer, Refused) else type(answer).__name__
        raise HostError(f"{self._path}: the host answered: {what}")

    def _exactly(self, length_bytes: int) -> bytes:
        data = bytearray()
        while len(data) < length_bytes:
            part = self._socket.recv(min(65536, length_bytes - len(data)))
            if not part:
                raise ConnectionResetError("the host hung up")
            data += part
        return bytes(data)

    def _refuse_protocol(self) -> None:
        if self.hello.protocol != PROTOCOL_VERSION:
            raise HostError(
                f"{self._path}: the host speaks protocol {self.hello.protocol}, "
                f"this agent {PROTOCOL_VERSION}",
                hint="install the same release of insight-edge for both",
            )

    def _gone(self, error: OSError) -> HostError:
        return HostError(f"{self._path}: {error.strerror or error}")
