# SPDX-License-Identifier: Apache-2.0
"""Let a process give way to others while it gets ready, where it may come back from that.

Lowering a priority is everybody's right; raising it again takes CAP_SYS_NICE or a limit
(`LimitNICE=` of a unit, `ulimit -e`). Where that lacks nothing is changed: what was lowered for
good would answer late for good.
"""

import os
import threading
from contextlib import suppress

LOWEST = 19


def give_way() -> int | None:
    """Take the lowest priority; return the one before, None where it could not be had again."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    if before >= LOWEST or not _may_return():
        return None
    os.setpriority(os.PRIO_PROCESS, 0, LOWEST)
    return before


def come_back(before: int | None) -> None:
    """Give every thread of this process the priority that `give_way` returned."""
    if before is None:
        return
    lowered = True
    while lowered:  # threads that were started meanwhile have that of who started them
        lowered = False
        for task in map(int, os.listdir("/proc/self/task")):  # noqa: PTH208 (numbers are wanted)
            with suppress(ProcessLookupError):
                if os.getpriority(os.PRIO_PROCESS, task) == LOWEST:
                    os.setpriority(os.PRIO_PROCESS, task, before)
                    lowered = True


def _may_return() -> bool:
    """Try it in a thread, whose priority is its own."""
    may = []

    def attempt() -> None:
        before = os.getpriority(os.PRIO_PROCESS, 0)
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, before + 1)
            os.setpriority(os.PRIO_PROCESS, 0, before)
            may.append(True)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return bool(may)
