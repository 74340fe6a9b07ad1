# SPDX-License-Identifier: Apache-2.0
"""What disturbed a measurement: read around it and within it, from `/proc` and `/sys`.

What the kernel does not tell is None, never guessed. Whether it was too much is
decided by `bench.verdict`.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from insight_edge.documents.evidence import Noise
from insight_edge.runtime.cgroup import ROOT, read_text

_STEAL = 7
"""Column of `/proc/stat` with the time that the hypervisor gave to others."""

_USER_TO_STEAL = 8
"""Columns that add up to all time; guest time is in user time already."""

_PROCESSOR = 36
"""Column of a thread's `stat`, counted from its state, with the processor it last ran on."""

Clock = tuple[int, float]
"""A processor and its clock in Hz."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Time of all processors since boot, in ticks."""

    ticks: int
    steal_ticks: int


def read_noise(root: Path = ROOT) -> Reading:
    """Return the counters now."""
    first = (read_text(root / "proc/stat") or "").splitlines()[:1]
    ticks = [int(word) for word in first[0].split()[1 : 1 + _USER_TO_STEAL]] if first else [0]
    return Reading(ticks=sum(ticks), steal_ticks=ticks[_STEAL] if len(ticks) > _STEAL else 0)


def noise_between(
    before: Reading,
    after: Reading,
    *,
    involuntary_switches: int,
    round_spread: float,
    clock_drop: float | None = None,
    root: Path = ROOT,
) -> Noise:
    """Return what disturbed a measurement between two readings.

    Args:
        before: read when it began.
        after: read when it ended.
        involuntary_switches: of the subject, while it was timed.
        round_spread: of its rounds.
        clock_drop: of the processors it ran on.
        root: where `/proc` and `/sys` are looked for.
    """
    elapsed = after.ticks - before.ticks
    return Noise(
        load_1min=os.getloadavg()[0],
        steal_share=(after.steal_ticks - before.steal_ticks) / elapsed if elapsed else 0.0,
        involuntary_switches=involuntary_switches,
        clock_drop=clock_drop,
        temperature_c=_temperature_c(root),
        governor=read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        round_spread=round_spread,
    )


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


def _temperature_c(root: Path) -> float | None:
    zones = (root / "sys/class/thermal").glob("thermal_zone*/temp")
    milli = [int(text) for path in zones if (text := read_text(path)) and text.isdigit()]
    return max(milli) / 1000 if milli else None
