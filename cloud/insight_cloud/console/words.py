# SPDX-License-Identifier: Apache-2.0
"""How values are written on pages: times, sizes, figures, digests. Pure; escapes nothing."""

import math
from datetime import UTC, datetime

MISSING = "\u2013"
"""Stands where there is no value."""

_UNITS = (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 172_800), ("d", 86_400, math.inf))

_SHORT = 12
"""Hexadecimal digits of a digest that people are shown."""


def relative(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, or in how long it will be."""
    seconds = (now - moment).total_seconds()
    size = abs(seconds)
    if size < 5:
        return "now"
    unit, length_s = next((unit, length_s) for unit, length_s, below_s in _UNITS if size < below_s)
    text = f"{int(size // length_s)} {unit}"
    return f"in {text}" if seconds < 0 else f"{text} ago"


def absolute(moment: datetime) -> str:
    """Return a moment in UTC to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def moment_of(at_s: float) -> datetime | None:
    """Return the moment of seconds since the epoch; None where a clock said what cannot be."""
    try:
        return datetime.fromtimestamp(at_s, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def short(digest: str) -> str:
    """Return the first digits of a digest without its algorithm."""
    return digest.removeprefix("sha256:")[:_SHORT]


def size(length_bytes: float | None) -> str:
    """Return a length with the unit that keeps it below a thousand."""
    if length_bytes is None:
        return MISSING
    for unit in ("B", "kB", "MB", "GB"):
        if abs(length_bytes) < 1000:
            return f"{length_bytes:.0f} {unit}" if unit == "B" else f"{length_bytes:.1f} {unit}"
        length_bytes /= 1000
    return f"{length_bytes:.1f} TB"


def figure(value: float | None, digits: int = 3) -> str:
    """Return a number with so many significant digits and no exponent where none is needed."""
    if value is None or not math.isfinite(value):
        return MISSING
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:.0f}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share of one as per cent."""
    return MISSING if share is None else f"{100 * share:.{digits}f} %"


def milliseconds(value_ns: float | None) -> str:
    """Return nanoseconds as milliseconds."""
    return MISSING if value_ns is None else f"{figure(value_ns / 1e6)} ms"


def span(seconds: float | None) -> str:
    """Return a length of time in the two units that say most."""
    if seconds is None:
        return MISSING
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
