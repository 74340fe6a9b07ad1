# SPDX-License-Identifier: Apache-2.0
"""Things that are done every so often, in lanes: what takes long keeps nobody else waiting."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from insight_edge.errors import InsightEdgeError

TICK_S = 0.5

_log = logging.getLogger(__name__)


@dataclass
class Duty:
    """Something that is done every so often; for the first time at once.

    Attributes:
        at_end: whether it is done once more before the process ends.
    """

    name: str
    each_s: float
    do: Callable[[], object]
    due_s: float = 0.0
    at_end: bool = False

    def turn(self, now_s: float) -> None:
        """Do it, if it is time; where it fails it is tried at its next turn."""
        if now_s < self.due_s:
            return
        self.due_s = now_s + self.each_s
        try:
            self.do()
        except InsightEdgeError as error:
            _log.warning("%s: %s", self.name, error)


class Lane:
    """Duties that one thread does, one after the other, until it is told to stop.

    Args:
        name: of the thread.
        duties: in their order.
        stop: set by others; and by the lane where a duty fails in a way that nobody foresaw.
    """

    def __init__(self, name: str, duties: Sequence[Duty], stop: threading.Event) -> None:
        self.failed = False
        self._name, self._duties, self._stop = name, duties, stop
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.wait(TICK_S):
                for duty in self._duties:
                    duty.turn(time.monotonic())
            for duty in self._duties:
                if duty.at_end:
                    duty.turn(duty.due_s)
        except Exception:  # noqa: BLE001 (a thread must not end in silence)
            _log.exception("the worker ends, to be started again: %s", self._name)
            self.failed = True
            self._stop.set()
