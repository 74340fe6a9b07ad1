# SPDX-License-Identifier: Apache-2.0
"""The observer: counts what callers left in their lanes, beside them and never in their way.

One background thread a bundle takes rows from the lanes in chunks, computes their
features and counts them into the open window. Nothing that fails here reaches a
caller: the chunk is given up, the failure is counted as `broken`, and inference goes on.

A caller that comes back from its engine waits for the interpreter while this thread
holds it. So chunks are large and few, and what is done with one is a few NumPy calls
that give the interpreter up, each for longer than a caller takes to wake: many short
ones give it up too, but have it again before anybody has woken.
"""

import contextlib
import math
import queue
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from insight_edge.documents.report import Counts
from insight_edge.runtime.lane import Chunk, Lane, row_shape
from insight_edge.runtime.logs import logger
from insight_edge.runtime.observation import Observation
from insight_edge.runtime.shelf import Shelf
from insight_edge.runtime.window import Page, WindowHeader

if TYPE_CHECKING:
    from insight_edge.runtime.disagreement import Account

CHUNK_ROWS = 2048
"""Taken with 256 rows at 64 features, one call of 25 us in a hundred was 50 to 100 us late; with
2048, 19 to 27 us."""

CHUNK_ELEMENTS = 128 * 1024
"""Fewer rows are taken of large tensors, or their float64 copies would need much memory."""

PERIOD_S = 0.2
"""Rows wait no longer than this to be counted; a ring that fills up calls earlier."""

_TOTALS = ("failed", "answered", "broken", "asked")
"""Counters that lanes add up; `asked` last, see `_counts`."""


class Observer:
    """Counts the lanes of one bundle into one window after another.

    Args:
        lanes: shared with whoever makes lanes; only ever appended to.
        header: of the first window; each window gets its own sequence and time.
        account: of a challenger, handed over with each window.
    """

    def __init__(
        self,
        observation: Observation,
        lanes: Sequence[Lane],
        header: WindowHeader,
        shelf: Shelf,
        account: "Account | None" = None,
    ) -> None:
        self._observation = observation
        self._lanes = lanes
        self._shelf = shelf
        self._account = account
        self._window = shelf.open(header)
        self._chunk_rows = _chunk_rows(observation)
        self._base = Counts()
        self._broken = 0
        self._lock = threading.Lock()
        self._stopping = False
        self._finished = False
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="insight-edge observer", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """Ask for a flush soon; costs the caller next to nothing."""
        self._bell.put(None)

    def read(self) -> tuple[int, Counts, int | None]:
        """Return number and counts of the open window, and its 99th percentile latency in ns."""
        with self._lock:
            self._flush()
            page = self._window.current
            p99_ns = page.latency.quantile(0.99) if page.latency.count else None
            return self._window.header.sequence, page.counts(), p99_ns

    def close_window(self, *, last: bool = False) -> None:
        """Put the window on the shelf and open the next; one without news stays open.

        Args:
            last: stop counting for good, and open no other window. One without news is forgotten,
                unless a later one was opened: its number would be missing between others.
        """
        with self._lock:
            if self._finished:
                return
            self._flush()
            self._finished = last
            counts = self._window.current.counts()
            # Rows of calls asked in the window before count too.
            account = self._account
            is_news = counts != Counts() or (account is not None and account.has_news())
            # Two bundles have windows at once: an open number below others looks like a lost one.
            is_awaited = last or account is not None
            if is_news or (is_awaited and self._shelf.has_later(self._window)):
                self._window.turn()
                self._window.seal(time.time_ns(), closed=True)
                self._shelf.put(self._window, None if account is None else account.take())
                self._base = Counts(
                    **{n: getattr(self._base, n) + getattr(counts, n) for n in _TOTALS}
                )
                self._window = self._window if last else self._shelf.open(self._window.header)
            elif last:
                self._shelf.discard(self._window)

    def stop(self) -> None:
        """Count what is left, close the last window and end the thread."""
        self._stopping = True
        self.ring()
        self._thread.join()
        self.close_window(last=True)

    def _run(self) -> None:
        while not self._stopping:
            with contextlib.suppress(queue.Empty):
                self._bell.get(timeout=PERIOD_S)
                while True:  # one flush answers every ring so far
                    self._bell.get_nowait()
            with self._lock:
                self._flush()

    def _flush(self) -> None:
        """Count the rows that are in the lanes now; those that come meanwhile wait."""
        if self._finished:
            return
        for lane in tuple(self._lanes):
            end = lane.put
            while lane.taken < end:
                self._attempt(lane.take(self._chunk_rows))
        self._attempt(None)

    def _attempt(self, chunk: Chunk | None) -> None:
        """Count a chunk, or the counters alone; after a failure the page before stands."""
        try:
            self._count(chunk)
        except Exception:  # noqa: BLE001 (nothing that fails here may reach a caller)
            self._broken += 1
            if self._broken == 1:  # what breaks every chunk must not fill the log
                logger(__name__).exception("the observer failed; inference goes on")

    def _count(self, chunk: Chunk | None) -> None:
        before = self._window.current.counts()
        page = self._window.turn()
        observed, flagged = (0, 0) if chunk is None else self._tally(page, chunk)
        after = self._counts(before.observed + observed, before.flagged + flagged)
        if chunk is not None or after != before:
            page.set_counts(after)
            self._window.seal(time.time_ns())

    def _tally(self, page: Page, chunk: Chunk) -> tuple[int, int]:
        """Count calls on both sides; return how many rows, and how many were flagged."""
        page.latency.observe_ns(chunk.latencies_ns)
        kept = chunk.kept
        inputs, outputs = self._observation.inputs, self._observation.outputs
        first_output = len(inputs.specs) if inputs else 0
        observed = flagged = 0
        if outputs is not None and page.outputs is not None:
            rows = outputs.rows(outputs.tensors(kept[first_output:]))
            observed = page.outputs.observe(rows, spent=True).rows
        if inputs is not None and page.inputs is not None:
            rows = inputs.rows(inputs.tensors(kept[:first_output]))
            kept.clear()  # half as much as the rows; counting needs the room
            observed, flagged = page.inputs.observe(rows, spent=True)
        return observed, flagged

    def _counts(self, observed: int, flagged: int) -> Counts:
        """Return the window's counts.

        `asked` is read last: a call that begins meanwhile cannot be answered yet
        not asked. A lane's rows were read before, so none is observed yet not answered.
        """
        totals = {
            name: sum(getattr(lane, name) for lane in tuple(self._lanes))
            - getattr(self._base, name)
            for name in _TOTALS
        }
        totals["broken"] += self._broken
        return Counts(**totals, observed=observed, flagged=flagged)


def _chunk_rows(observation: Observation) -> int:
    specs = [
        spec for side in (observation.inputs, observation.outputs) if side for spec in side.specs
    ]
    elements = sum(math.prod(row_shape(spec)) for spec in specs)
    return max(1, min(CHUNK_ROWS, CHUNK_ELEMENTS // max(1, elements)))
