# SPDX-License-Identifier: Apache-2.0
"""Keep a few child processes alive until told to stop.

A child that ends is started again after a pause, which grows while it keeps ending
at once. Children are set up, and ended, over their standard input
(`platform.child`), so none outlives its supervisor, however that ends.
"""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STABLE_S = 20.0
"""A child that ran so long did not end at once."""

POLL_S = 0.2
END_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Program:
    """What one child runs.

    Attributes:
        module: of Python, run with `-m`.
        setup: its first line of standard input.
    """

    name: str
    module: str
    setup: bytes


class Child:
    """One program, running or between two runs."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._failures = 0
        self._began_s = 0.0
        self._due_s = 0.0

    @property
    def pid(self) -> int | None:
        """Number of the process, None between two runs."""
        return None if self._process is None else self._process.pid

    def look(self, now_s: float) -> None:
        """Start it where it is due, and note that it has ended."""
        if self._process is None:
            if now_s >= self._due_s:
                self._start(now_s)
            return
        code = self._process.poll()
        if code is None:
            return
        self._close()
        self._failures = 1 if now_s - self._began_s >= STABLE_S else self._failures + 1
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 30), LONGEST_PAUSE_S)
        self._due_s = now_s + pause_s
        _log.warning("%s ended (%d); again in %.1f s", self.program.name, code, pause_s)

    def end(self, deadline_s: float) -> None:
        """End it: first it is asked to, then it is made to."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._close()

    def _start(self, now_s: float) -> None:
        self._began_s = now_s
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.program.module], stdin=subprocess.PIPE
        )
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(self.program.setup + b"\n")
                self._process.stdin.flush()

    def _close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process = None


def supervise(
    programs: Sequence[Program], stop: threading.Event, also: Callable[[], None] = lambda: None
) -> None:
    """Keep programs running until `stop` is set; they end in the opposite order.

    Args:
        programs: in the order in which they begin.
        stop: ends it.
        also: called now and then, for what else is to be kept.
    """
    children = [Child(program) for program in programs]
    try:
        while not stop.is_set():
            for child in children:
                child.look(time.monotonic())
            also()
            stop.wait(POLL_S)
    finally:
        deadline_s = time.monotonic() + END_S
        for child in reversed(children):
            child.end(deadline_s)
