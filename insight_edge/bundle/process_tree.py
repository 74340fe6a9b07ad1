# SPDX-License-Identifier: Apache-2.0
"""A process and all that it started, and their end.

Read from `/proc`; a process that ends meanwhile counts as none.
"""

import contextlib
import os
import signal
from pathlib import Path


def process_tree(pid: int) -> tuple[int, ...]:
    """Return a process and its living descendants, parents first."""
    found = [pid]
    for member in found:
        found += _children(member)
    return tuple(found)


def kill_tree(pid: int) -> None:
    """Kill a process that leads its own group, its descendants, and all of its group.

    The leader must not have been reaped, so that its number is still its own.
    """
    for member in process_tree(pid)[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                children += map(int, (task / "children").read_text().split())
    return children
