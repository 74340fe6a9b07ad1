# SPDX-License-Identifier: Apache-2.0
"""The clock of the processor that a thread runs on: not of time, but of its work."""

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


class ClockRange:
    """The clocks that were seen, processor by processor."""

    def __init__(self) -> None:
        self._ends: dict[int, tuple[float, float]] = {}
        self._sum_hz, self._count = 0.0, 0

    def add(self, clock: Clock | None) -> None:
        """Add one that was seen; None for one that is not told."""
        if clock is None:
            return
        processor, hertz = clock
        slowest, fastest = self._ends.get(processor, (hertz, hertz))
        self._ends[processor] = min(slowest, hertz), max(fastest, hertz)
        self._sum_hz, self._count = self._sum_hz + hertz, self._count + 1

    @property
    def drop(self) -> float | None:
        """1 - slowest/fastest of the processor whose clock fell most; None without clocks."""
        return max(
            (1 - slowest / fastest for slowest, fastest in self._ends.values()), default=None
        )

    @property
    def range_hz(self) -> tuple[float, float, float] | None:
        """Slowest, mean and fastest of all; None without clocks."""
        if not self._ends:
            return None
        slowest, fastest = zip(*self._ends.values(), strict=True)
        return min(slowest), self._sum_hz / self._count, max(fastest)
