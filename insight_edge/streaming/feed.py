# SPDX-License-Identifier: Apache-2.0
"""Keep a source flowing into a buffer: one thread, which opens it again where it dies.

Pauses grow from a tenth of a second to half a minute, and are short again after an item. What a
person has to mend (`ConfigurationError`, `MissingError`) ends the feed.
"""

import threading
from types import TracebackType
from typing import NamedTuple, Self

from insight_edge.errors import ConfigurationError, MissingError
from insight_edge.runtime.logs import logger
from insight_edge.streaming.buffer import Buffer, Ended, Policy
from insight_edge.streaming.seam import Item, Source

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
END_S = 5.0
"""So long `close` waits for a source that hangs in a driver; its thread ends with the process."""


class Statistics(NamedTuple):
    """What became of items.

    Attributes:
        offered: that the source handed over: `taken + dropped + waiting`.
        lost: that the source itself had no room for, before they were offered.
        most: that have waited at once.
        restarts: times the source was opened again, each after it died.
        error: what it last died of; empty where it has not.
    """

    offered: int
    taken: int
    dropped: int
    waiting: int
    lost: int
    most: int
    restarts: int
    error: str


def pause_s(failures: int) -> float:
    """Return how long to wait after so many failures in a row."""
    return min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 60), LONGEST_PAUSE_S)


class Feed:
    """Items of a source, until `close`.

    Args:
        source: where they come from.
        capacity: items that wait at most.
        policy: what happens where so many wait.
    """

    def __init__(self, source: Source, *, capacity: int = 8, policy: Policy = "block") -> None:
        self._source = source
        self._buffer: Buffer[Item] = Buffer(capacity, policy)
        self._closing = threading.Event()
        self._lost = self._restarts = self._failures = 0
        self._error = ""
        self._fatal: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="insight-edge source", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def take(self, timeout_s: float) -> Item | None:
        """Return the next item; None where none came in time. Call its `over` when it is done.

        Raises:
            Ended: there are no more.
            ConfigurationError, MissingError: a person has to mend something.
        """
        try:
            return self._buffer.take(timeout_s)
        except Ended:
            if self._fatal is not None:
                raise self._fatal from None
            raise

    @property
    def statistics(self) -> Statistics:
        """What became of items so far."""
        buffer = self._buffer
        return Statistics(
            buffer.offered, buffer.taken, buffer.dropped, buffer.waiting,
            self._lost, buffer.most, self._restarts, self._error,
        )  # fmt: skip

    def close(self) -> bool:
        """End the source, and return whether it did."""
        self._closing.set()
        self._buffer.close()
        self._thread.join(END_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._read()
            except Ended:
                return
            except (ConfigurationError, MissingError) as error:
                self._fatal = error
                break
            except Exception as error:  # noqa: BLE001 (a plug-in may raise anything; it is told)
                self._died(error)
            else:
                break
        self._buffer.end()

    def _read(self) -> None:
        items = self._source.items(self._closing.wait)
        try:
            for item in items:
                if self._closing.is_set():
                    raise Ended
                if item is not None:
                    self._failures = 0
                    self._lost += item.lost
                    gone = self._buffer.put(item)
                    if gone is not None:
                        gone.over()
        finally:
            items.close()

    def _died(self, error: Exception) -> None:
        self._failures += 1
        self._error = f"{type(error).__name__}: {error}".splitlines()[0]
        wait_s = pause_s(self._failures)
        logger(__name__).warning(
            "the source died and is opened again in %g s: %s", wait_s, self._error
        )
        if not self._closing.wait(wait_s):
            self._restarts += 1
