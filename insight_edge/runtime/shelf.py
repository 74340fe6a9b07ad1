# SPDX-License-Identifier: Apache-2.0
"""The shelf: closed windows, kept until somebody confirms to have their report.

It numbers the windows of one boot, and finds those that an earlier process left
in the state directory. A file goes only with its confirmed report, so a report
may be handed over twice and is not lost; (boot, sequence) tells which it is.
"""

import threading
import time
from collections import deque
from pathlib import Path

import msgspec

from insight_edge.documents.challenge import Challenge
from insight_edge.documents.report import Counts, Report
from insight_edge.errors import DocumentError
from insight_edge.runtime.logs import logger
from insight_edge.runtime.window import OpenWindow, WindowHeader, open_window, recover_window

MAX_CLOSED = 64
"""Where nobody takes reports the oldest go; the gap in their sequence shows it."""


class Shelf:
    """Closed windows, oldest first.

    Args:
        state_dir: where window files lie; None keeps windows in plain memory.
    """

    def __init__(self, state_dir: Path | None) -> None:
        self._state_dir = state_dir
        self._newest = -1
        self._closed: deque[tuple[Report, Path | None]] = deque()
        self._lock = threading.Lock()

    def open(self, like: WindowHeader) -> OpenWindow:
        """Return a new window like another one, with the next sequence number."""
        with self._lock:  # bundles open theirs in threads of their own
            self._newest += 1
            sequence = self._newest
        header = msgspec.structs.replace(like, sequence=sequence, opened_s=time.time())
        name = f"window-{header.boot}-{header.sequence}.map"
        return open_window(header, self._state_dir and self._state_dir / name)

    def has_later(self, window: OpenWindow) -> bool:
        """Return whether a window was opened after this one, of this bundle or of another."""
        return window.header.sequence < self._newest

    def put(self, window: OpenWindow, challenge: Challenge | None = None) -> None:
        """Keep a window that nobody changes any more, and what its challenger did besides."""
        report = msgspec.structs.replace(window.report(), challenge=challenge)
        with self._lock:
            self._closed.append((report, window.path))
            while len(self._closed) > MAX_CLOSED:
                _unlink(self._closed.popleft()[1])

    def discard(self, window: OpenWindow) -> None:
        """Forget a window in which nothing happened."""
        _unlink(window.path)

    def oldest(self) -> Report | None:
        """Return the oldest report, which stays until it is confirmed."""
        with self._lock:
            return self._closed[0][0] if self._closed else None

    def confirm(self, report: Report) -> None:
        """Forget a report that somebody else is now responsible for."""
        with self._lock:
            for entry in tuple(self._closed):
                if (entry[0].boot, entry[0].sequence) == (report.boot, report.sequence):
                    self._closed.remove(entry)
                    _unlink(entry[1])

    def recover(self) -> None:
        """Put the windows that earlier processes left on the shelf, oldest first.

        A file that is damaged is removed, and one of a process that counted nothing at
        all. Any other window without news has its report: a later one may have gone out,
        and a number that never comes is a report lost.
        """
        left = [] if self._state_dir is None else sorted(self._state_dir.glob("window-*.map"))
        found: list[OpenWindow] = []
        for path in left:
            try:
                found.append(recover_window(path))
            except DocumentError as error:
                logger(__name__).warning("%s", error)
                _unlink(path)
        found.sort(key=lambda w: (w.header.boot, w.header.sequence))
        at_work = {w.header.boot for w in found if w.header.sequence > 0 or _has_news(w)}
        for window in found:
            if window.header.boot in at_work:
                self.put(window)
            else:
                self.discard(window)


def _has_news(window: OpenWindow) -> bool:
    return bool(window.current.counts() != Counts())


def _unlink(path: Path | None) -> None:
    if path is None:
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # a read-only disk; the report is handed over again after a restart
        logger(__name__).warning("%s: cannot be removed: %s", path, error.strerror)
