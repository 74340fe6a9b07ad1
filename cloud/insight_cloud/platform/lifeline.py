# SPDX-License-Identifier: Apache-2.0
"""Become another program that dies with its parent: `python -m ... PARENT COMMAND...`.

A program that outlived a killed parent would work on beside the one that is started
in its place. The kernel is asked for SIGKILL when the thread ends that started it.
"""

import os
import sys
from typing import Final

from insight_edge.bundle.lifeline import die_with

NOT_FOUND: Final = 127


def main(parent: int, command: list[str]) -> None:
    """Replace this process by the command, unless the parent has ended already."""
    die_with(parent)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the caller's command, never a shell's
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {(error.strerror or str(error)).lower()}\n")
        sys.exit(NOT_FOUND)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
