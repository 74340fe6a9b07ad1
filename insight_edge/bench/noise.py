# SPDX-License-Identifier: Apache-2.0
"""What disturbed a measurement: read around it, from `/proc` and `/sys`, and felt within it.

What the kernel does not tell is None, never guessed. Whether it was too much is
decided by `bench.disturbance`.
"""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from insight_edge.bench.felt import Felt
from insight_edge.bench.power_mode import power_mode
from insight_edge.bench.pressure import pressure_s
from insight_edge.bench.throttling import throttled_now, throttles
from insight_edge.documents.evidence import Noise
from insight_edge.runtime.cgroup import ROOT, read_text

_STEAL = 7
"""Column of `/proc/stat` with the time that the hypervisor gave to others."""

_USER_TO_STEAL = 8
"""Columns that add up to all time; guest time is in user time already."""

N = TypeVar("N", int, float)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Counters of the machine, which only rise, and its temperature.

    Attributes:
        ticks, steal_ticks: time of all processors since boot, and what the hypervisor took of it.
        throttles: how often processors were slowed down for their heat.
        throttled: whether they are now, for their heat or their supply.
        cpu_s, memory_s: some program waited for a processor, or for memory.
        temperature_c: of the hottest sensor.
        at_s: when it was read, by the monotonic clock.
    """

    ticks: int
    steal_ticks: int
    throttles: int | None = None
    throttled: bool | None = None
    cpu_s: float | None = None
    memory_s: float | None = None
    temperature_c: float | None = None
    at_s: float = field(default=0.0, compare=False)


def read_noise(root: Path = ROOT) -> Reading:
    """Return the counters now."""
    first = (read_text(root / "proc/stat") or "").splitlines()[:1]
    ticks = [int(word) for word in first[0].split()[1 : 1 + _USER_TO_STEAL]] if first else [0]
    return Reading(
        ticks=sum(ticks),
        steal_ticks=ticks[_STEAL] if len(ticks) > _STEAL else 0,
        throttles=throttles(root),
        throttled=throttled_now(root),
        cpu_s=pressure_s("cpu", root),
        memory_s=pressure_s("memory", root),
        temperature_c=_temperature_c(root),
        at_s=time.monotonic(),
    )


def noise_between(
    before: Reading, after: Reading, *, felt: Felt, round_spread: float, root: Path = ROOT
) -> Noise:
    """Return what disturbed a measurement between two readings.

    Args:
        before: read when it began.
        after: read when it ended.
        felt: by the subject, while it was timed.
        round_spread: of its rounds.
        root: where `/proc` and `/sys` are looked for.
    """
    elapsed, elapsed_s = after.ticks - before.ticks, after.at_s - before.at_s
    slowest, mean, fastest = felt.clocks_hz or (None, None, None)
    return Noise(
        load_1min=os.getloadavg()[0],
        steal_share=(after.steal_ticks - before.steal_ticks) / elapsed if elapsed else 0.0,
        involuntary_switches=felt.switches,
        waited_share=_share(felt.waited_s, felt.timed_s),
        held_back_share=_share(felt.held_back_s, felt.timed_s),
        major_faults=felt.major_faults,
        clock_drop=felt.clock_drop,
        clock_min_hz=slowest,
        clock_mean_hz=mean,
        clock_max_hz=fastest,
        throttles=_throttles(before, after),
        temperature_c=after.temperature_c,
        temperature_rise_c=_rise(before.temperature_c, after.temperature_c),
        cpu_pressure=_share(_rise(before.cpu_s, after.cpu_s), elapsed_s),
        memory_pressure=_share(_rise(before.memory_s, after.memory_s), elapsed_s),
        governor=governor(root),
        power_mode=power_mode(root),
        round_spread=round_spread,
    )


def governor(root: Path = ROOT) -> str | None:
    """Return the governor of the first processor's clock; None where it has none."""
    return read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def _throttles(before: Reading, after: Reading) -> int | None:
    """Return how often processors were throttled, where that is counted; 1 where it is seen."""
    seen = [one.throttled for one in (before, after) if one.throttled is not None]
    counted = _rise(before.throttles, after.throttles)
    return counted if not seen else (counted or 0) + any(seen)


def _rise(before: N | None, after: N | None) -> N | None:
    return None if before is None or after is None else after - before


def _share(part_s: float | None, whole_s: float) -> float | None:
    return None if part_s is None or whole_s <= 0 else part_s / whole_s


def _temperature_c(root: Path) -> float | None:
    zones = (root / "sys/class/thermal").glob("thermal_zone*/temp")
    milli = [int(text) for path in zones if (text := read_text(path)) and text.isdigit()]
    return max(milli) / 1000 if milli else None
