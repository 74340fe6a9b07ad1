# SPDX-License-Identifier: Apache-2.0
"""How often processors were slowed down for their heat or their supply, as far as it is told.

x86 counts it for each core and each package; the firmware of a Raspberry Pi says in bits whether
it does so now (its command `vcgencmd get_throttled`). That a clock fell is seen otherwise.
"""

from pathlib import Path

from insight_edge.runtime.cgroup import ROOT, read_text

_NOW_BITS = 0b1111
"""Under voltage, capped, throttled, soft temperature limit: now, not at some time since boot."""


def throttles(root: Path = ROOT) -> int | None:
    """Return how often since boot; None where that is not counted."""
    places = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle"))
    cores = _counts(places, "core_throttle_count")
    packages = _counts(places, "package_throttle_count")
    # All cores of a package tell the same count.
    return sum(cores) + max(packages, default=0) if cores or packages else None


def throttled_now(root: Path = ROOT) -> bool | None:
    """Return whether it is so now; None where that is not told."""
    text = read_text(root / "sys/devices/platform/soc/soc:firmware/get_throttled")
    try:
        return None if text is None else bool(int(text, 16) & _NOW_BITS)
    except ValueError:
        return None


def _counts(places: list[Path], name: str) -> list[int]:
    texts = (read_text(place / name) or "" for place in places)
    return [int(text) for text in texts if text.isdigit()]
