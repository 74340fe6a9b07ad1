# SPDX-License-Identifier: Apache-2.0
"""A child and all that it started: their beginning, their memory, and why they are ended.

Memory is read from `/proc`; a process that ends meanwhile counts as nothing.
"""

import contextlib
import os
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from insight_edge.bundle.lifeline import interrupts_held
from insight_edge.bundle.process_tree import kill_tree, process_tree

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
POLL_S = 0.02
GIB = 2**30


@contextlib.contextmanager
def child(
    command: Sequence[str], place: Path, *, log: str, fixed: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a child that leads a group of its own; leave with all of its group dead, and it reaped.

    Args:
        command: what is run.
        place: directory to run in.
        log: file in it that gets all that is said.
        fixed: variables of its environment, besides those of this process.
    """
    process = None
    try:
        with (place / log).open("wb") as said, interrupts_held():
            process = subprocess.Popen(
                command,
                cwd=place,
                env=os.environ | fixed,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        yield process
    finally:
        if process is not None:
            kill_tree(process.pid)
            process.wait()


def resident_bytes(pids: tuple[int, ...]) -> int:
    """Return the resident memory of processes; a page that two share counts twice."""
    return sum(_resident_bytes(pid) for pid in pids)


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What was seen of a child.

    Attributes:
        stopped: why it must be killed; None where it ended by itself.
        peak_rss_bytes: of it and all that it started, as far as it was seen.
    """

    stopped: str | None
    peak_rss_bytes: int


def watch(
    pid: int, *, wall_s: float, memory_bytes: int, stop: threading.Event | None = None
) -> Watched:
    """Wait for the end of a child, or a reason to end it.

    Args:
        pid: of a child that has not been reaped.
        wall_s: it may take.
        memory_bytes: resident, that it and all that it started may have.
        stop: once set, nobody wants it any more.
    """
    deadline, peak = time.monotonic() + wall_s, 0
    ended = os.pidfd_open(pid)
    try:
        while not select.select([ended], [], [], POLL_S)[0]:
            peak = max(peak, resident_bytes(process_tree(pid)))
            if peak > memory_bytes:
                why = f"over the memory limit of {memory_bytes / GIB:.1f} GiB"
                return Watched(stopped=why, peak_rss_bytes=peak)
            if time.monotonic() > deadline:
                return Watched(stopped=f"over the time limit of {wall_s:g} s", peak_rss_bytes=peak)
            if stop is not None and stop.is_set():
                return Watched(stopped="stopped", peak_rss_bytes=peak)
    finally:
        os.close(ended)
    return Watched(stopped=None, peak_rss_bytes=peak)
