# SPDX-License-Identifier: Apache-2.0
"""The line of a child's log that says what went wrong: the last, less what natives say after it."""

import re

NOTICES = re.compile(r"\bWarning: |^\[bt\] |^Stack trace:|^$")
"""Of destructors that run once an exception has ended a program, and of how it got there."""


def gist(log: str) -> str:
    """Return what a log says in the end, `it said nothing` where it does not."""
    lines = [line.strip() for line in log.splitlines()]
    spoken = [line for line in lines if not NOTICES.search(line)]
    return next(iter(reversed(spoken or [line for line in lines if line])), "it said nothing")
