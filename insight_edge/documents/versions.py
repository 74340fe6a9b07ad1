# SPDX-License-Identifier: Apache-2.0
"""Decide whether an engine's version meets a requirement such as `>=1.22,<2`.

A device has no `packaging`, and a manifest needs only this much of it: releases
of numbers, compared number by number, a missing one counting as 0. What follows
the numbers (`-22982-releases`, `.dev3`, `+cu13`) is a build of that release and
is ignored.
"""

import operator
import re
from collections.abc import Callable

Release = tuple[int, ...]

_COMPARISONS: dict[str, Callable[[Release, Release], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_CLAUSE = re.compile(r"(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)*)")
_RELEASE = re.compile(r"\d+(?:\.\d+)*")


def satisfies(version: str, requirement: str) -> bool:
    """Return whether a version meets every clause of a requirement; "" is met by all.

    Raises:
        ValueError: the version starts with no number, or a clause cannot be read.
    """
    found = _release(version)
    clauses = [clause.strip() for clause in requirement.split(",") if clause.strip()]
    return all(_meets(found, clause) for clause in clauses)


def _meets(found: Release, clause: str) -> bool:
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        raise ValueError(f"'{clause}' is not a version requirement such as '>=1.22'")
    sign, wanted = match.groups()
    release = _release(wanted)
    width = max(len(found), len(release))
    return _COMPARISONS[sign](_padded(found, width), _padded(release, width))


def _release(version: str) -> Release:
    match = _RELEASE.match(version)
    if match is None:
        raise ValueError(f"'{version}' is not a version")
    return tuple(int(number) for number in match.group().split("."))


def _padded(release: Release, width: int) -> Release:
    return release + (0,) * (width - len(release))
