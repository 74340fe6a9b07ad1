# SPDX-License-Identifier: Apache-2.0
"""The program that a job runs as, bounded in time and in what is kept of its words.

It becomes what it is by way of `fleet.jobs.background`, leads a group of its own, and is
ended with all that it started. What it is told and what it leaves is `fleet.jobs.timing`'s
business.
"""

import os
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from insight_edge.bundle.process_tree import kill_tree
from insight_edge.errors import StoppedError

POLL_S: Final = 0.1
MAX_WORDS_BYTES: Final = 16 * 1024
"""Kept of what it says: the last."""

_SAID: Final = "error: "
_BACKGROUND: Final = "insight_edge.fleet.jobs.background"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A program that ended, or was ended.

    Attributes:
        code: its exit status; negative where a signal ended it.
        error: what its last line that begins with `error: ` says; empty where none does.
        late: it was ended because it took too long.
    """

    code: int
    error: str
    late: bool


def run_child(
    command: Sequence[str],
    place: Path,
    *,
    variables: Mapping[str, str],
    limit_s: float,
    stop: Callable[[], bool],
) -> Ended:
    """Return what became of a program.

    Args:
        command: the program and its arguments.
        place: folder that it runs in.
        variables: of its environment, besides those of this process.
        limit_s: the longest that it may take.
        stop: asked several times a second whether to end it.

    Raises:
        StoppedError: `stop` said so; nothing of it is left.
        OSError: it cannot be started.
    """
    with _started(command, place, variables) as child:
        said = _Said(child.stderr)
        late = _wait(child.pid, said, time.monotonic() + limit_s, stop)
        kill_tree(child.pid)
        code = child.wait()
        said.hear()
        return Ended(code=code, error=said.error(), late=late)


class _Said:
    """The last that a program says on standard error."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        if stream is None:
            raise ValueError("standard error is not piped")
        self.fd = stream.fileno()
        os.set_blocking(self.fd, False)
        self._parts: deque[bytes] = deque(maxlen=4)

    def hear(self) -> bool:
        """Take what is there; return whether there may be more."""
        try:
            while part := os.read(self.fd, MAX_WORDS_BYTES):
                self._parts.append(part)
        except BlockingIOError:
            return True
        return False

    def error(self) -> str:
        words = b"".join(self._parts)[-MAX_WORDS_BYTES:].decode(errors="replace")
        errors = [line for line in words.splitlines() if line.startswith(_SAID)]
        return errors[-1].removeprefix(_SAID).strip() if errors else ""


def _wait(pid: int, said: _Said, deadline_s: float, stop: Callable[[], bool]) -> bool:
    """Wait until a child has ended; return whether it took too long."""
    ended = os.pidfd_open(pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            selector.register(said.fd, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select(POLL_S)}
                if said.fd in ready and not said.hear():
                    selector.unregister(said.fd)
                if ended in ready:
                    return False
                if stop():
                    raise StoppedError("it was ended before its end")
                if time.monotonic() > deadline_s:
                    return True
    finally:
        os.close(ended)


@contextmanager
def _started(
    command: Sequence[str], place: Path, variables: Mapping[str, str]
) -> "Iterator[subprocess.Popen[bytes]]":
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", _BACKGROUND, str(os.getpid()), *command],
        cwd=place,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            kill_tree(child.pid)
            child.wait()
        if child.stderr is not None:
            child.stderr.close()
