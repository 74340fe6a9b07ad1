# SPDX-License-Identifier: Apache-2.0
"""The clock of the processor that a thread runs on: not of time, but of its work."""

from collections.abc import Iterable
from pathlib import Path

from insight_edge.runtime.cgroup import ROOT, read_text

_PROCESSOR = 36
"""Column of a thread's `stat`, counted from its state, with the processor it last ran on."""

Clock = tuple[int, float]
"""A processor and its clock in Hz."""


def read_clock(root: Path = ROOT) -> Clock | None:
    """Return the processor that this thread ran on last and its clock.

    Only a busy processor's clock says something: idle ones are slow by intention.
    """
    columns = (read_text(root / "proc/thread-self/stat") or "").rpartition(")")[2].split()
    if len(columns) <= _PROCESSOR:
        return None
    processor = int(columns[_PROCESSOR])
    place = root / f"sys/devices/system/cpu/cpu{processor}/cpufreq/scaling_cur_freq"
    khz = read_text(place) or ""
    return (processor, int(khz) * 1e3) if khz.isdigit() and int(khz) else None


def clock_drop(clocks: Iterable[Clock]) -> float | None:
    """Return 1 - slowest/fastest of the processor whose clock fell most; None without clocks."""
    by_processor: dict[int, list[float]] = {}
    for processor, clock_hz in clocks:
        by_processor.setdefault(processor, []).append(clock_hz)
    return max((1 - min(seen) / max(seen) for seen in by_processor.values()), default=None)
