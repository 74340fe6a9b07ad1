# SPDX-License-Identifier: Apache-2.0
"""One thing that was looked at, and how it stands. Pure."""

from collections.abc import Iterable
from typing import Literal

import msgspec

State = Literal["ok", "warning", "failed"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line for a person.

    Attributes:
        name: what was looked at.
        says: how it stands, in one line without a secret in it.
        hint: what to do about it; empty where nothing is to be done.
    """

    name: str
    state: State
    says: str
    hint: str = ""


def ok(name: str, says: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name=name, state="ok", says=says)


def warning(name: str, says: str, hint: str = "") -> Check:
    """Return a check that found what may become wrong, or is only not known."""
    return Check(name=name, state="warning", says=says, hint=hint)


def failed(name: str, says: str, hint: str = "") -> Check:
    """Return a check that found something wrong."""
    return Check(name=name, state="failed", says=says, hint=hint)


def failures(checks: Iterable[Check]) -> int:
    """Return how many found something wrong."""
    return sum(check.state == "failed" for check in checks)


def span(seconds: float) -> str:
    """Return a length of time as people say it."""
    size_s = abs(seconds)
    for unit, unit_s in (("years", 31_557_600.0), ("days", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if size_s >= 2 * unit_s:
            return f"{size_s / unit_s:.0f} {unit}"
    return f"{size_s:.0f} s"


def size(length_bytes: float) -> str:
    """Return an amount of bytes as people say it."""
    for unit, unit_bytes in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if length_bytes >= unit_bytes:
            return f"{length_bytes / unit_bytes:.1f} {unit}"
    return f"{length_bytes:.0f} bytes"
