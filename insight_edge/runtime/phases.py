# SPDX-License-Identifier: Apache-2.0
"""The phases of a swap: which one it is in, and how long each took.

A swap that fails is told by the phase it was in; nothing after the flip may fail.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from insight_edge.documents.host import Refused, SwapRecord
from insight_edge.errors import InsightEdgeError, UpdateError

REQUEST = "request"


class Phases:
    """Times the phases of one swap.

    Attributes:
        current: `request` before the first.
    """

    def __init__(self) -> None:
        self.current = REQUEST
        self._durations_ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Enter a phase and time it; what was in it before is added."""
        self.current = name
        started_ns = time.perf_counter_ns()
        yield
        took_ms = (time.perf_counter_ns() - started_ns) / 1e6
        self._durations_ms[name] = self._durations_ms.get(name, 0.0) + took_ms

    def record(self, *, origin: str | None, target: str, in_flight: int) -> SwapRecord:
        """Return the record of a swap that went through all phases."""
        took = self._durations_ms
        return SwapRecord(
            origin=origin,
            target=target,
            in_flight=in_flight,
            stage_ms=took["stage"],
            verify_ms=took["verify"],
            warm_ms=took["warm"],
            flip_ms=took["flip"],
            drain_ms=took["drain"],
            retire_ms=took["retire"],
        )


def refused(error: InsightEdgeError) -> Refused:
    """Return what the host answers for an error: its phase, the kind of its cause, one line."""
    phase = error.phase if isinstance(error, UpdateError) else None
    cause = error.__cause__ if type(error) is UpdateError else None
    kind = type(cause if isinstance(cause, InsightEdgeError) else error).__name__
    return Refused(phase=phase or REQUEST, kind=kind, reason=str(error))
