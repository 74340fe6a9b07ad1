# SPDX-License-Identifier: Apache-2.0
"""Become another program that disturbs least: `python -m ... PARENT COMMAND...` (rule J5).

It runs at the lowest priority, is the first that the kernel ends where memory is short,
leaves no image of its memory behind, and dies with the agent. None of this needs rights.
"""

import os
import resource
import sys
from pathlib import Path
from typing import Final

from insight_edge.bundle.lifeline import die_with

NICE: Final = 19
OOM_SCORE: Final = "1000"
NOT_FOUND: Final = 127


def main(parent: int, command: list[str]) -> None:
    """Replace this process by the command, unless the parent has ended already."""
    die_with(parent)
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
        os.execvp(command[0], command)  # noqa: S606 - the agent's command, never a shell's
    except OSError as error:
        sys.stderr.write(f"error: {command[0]}: {(error.strerror or str(error)).lower()}\n")
        sys.exit(NOT_FOUND)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
