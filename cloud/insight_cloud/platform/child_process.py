# SPDX-License-Identifier: Apache-2.0
"""Run a program as a child: bounded in time and in what is kept of its words.

It dies with this process (`platform.lifeline`), and with all that it started when it
is stopped. Whoever waits for it may give up at any moment by raising.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

POLL_S: Final = 0.1
LAST_WORDS_S: Final = 5.0
"""How long is waited for what something says that the child left behind."""

MAX_OUTPUT_BYTES: Final = 4 * 1024 * 1024
"""Kept of standard output: its beginning."""

MAX_LOG_LINES: Final = 40
MAX_LINE_BYTES: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A child that ended.

    Attributes:
        code: its exit status; negative where a signal ended it.
        output: the beginning of standard output.
        log: the last lines of standard error.
        over_time: it was stopped because it took too long.
    """

    code: int
    output: bytes
    log: tuple[str, ...]
    over_time: bool


def run_child(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    pulse: Callable[[], None] = lambda: None,
) -> Finished:
    """Return what became of a program, or raise what `pulse` raised, after stopping it.

    Args:
        command: the program and its arguments.
        cwd: the folder it works in.
        timeout_s: the longest that it may take.
        environment: variables besides those of this process.
        stdin: what it reads.
        pulse: called several times a second; may raise to give up.

    Raises:
        OSError: it cannot be started.
    """
    deadline_s = time.monotonic() + timeout_s
    with _started(command, cwd, environment or {}) as child:
        heard = _Heard(child, stdin)
        over_time = False
        while child.poll() is None:
            pulse()
            over_time = time.monotonic() > deadline_s
            if over_time:
                break
            with suppress(subprocess.TimeoutExpired):
                child.wait(POLL_S)
        _stop(child)
        return heard.all(child.wait(), over_time=over_time)


class _Heard:
    """What a child says, read by threads so that it never waits to say it."""

    def __init__(self, child: "subprocess.Popen[bytes]", stdin: bytes) -> None:
        self._output = bytearray()
        self._log: deque[str] = deque(maxlen=MAX_LOG_LINES)
        self._threads = [
            threading.Thread(target=work, args=(stream, *more), daemon=True)
            for work, stream, *more in (
                (_write, child.stdin, stdin),
                (self._keep_output, child.stdout),
                (self._keep_log, child.stderr),
            )
        ]
        for thread in self._threads:
            thread.start()

    def all(self, code: int, *, over_time: bool) -> Finished:
        """Return it, when there is no more."""
        for thread in self._threads:
            thread.join(LAST_WORDS_S)
        return Finished(
            code=code, output=bytes(self._output), log=tuple(self._log), over_time=over_time
        )

    def _keep_output(self, stream: IO[bytes]) -> None:
        while part := stream.read1(65536):  # type: ignore[attr-defined]  # a BufferedReader
            self._output += part[: MAX_OUTPUT_BYTES - len(self._output)]

    def _keep_log(self, stream: IO[bytes]) -> None:
        while line := stream.readline(MAX_LINE_BYTES):
            if text := line.decode(errors="replace").rstrip():
                self._log.append(text)


def _write(stream: IO[bytes], data: bytes) -> None:
    with suppress(BrokenPipeError), stream:
        stream.write(data)


@contextmanager
def _started(
    command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str]
) -> "Iterator[subprocess.Popen[bytes]]":
    child = subprocess.Popen(
        [sys.executable, "-m", "insight_cloud.platform.lifeline", str(os.getpid()), *command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        _stop(child)
        child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def _stop(child: "subprocess.Popen[bytes]") -> None:
    """Kill it and its group; its children that left the group die with it by their lifelines."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
