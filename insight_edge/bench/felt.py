# SPDX-License-Identifier: Apache-2.0
"""What a process felt of its machine while it was timed: held back, waiting, paging, slowed down.

Counters of the process and of the thread that asks are read around each block, from
`getrusage`, `/proc` and the control group; its clock after it. What the kernel does not tell is
None. Whether it was too much is decided by `bench.disturbance`.
"""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from insight_edge.bench.clock import ClockRange, read_clock
from insight_edge.runtime.cgroup import ROOT, held_back_s, read_text


class Felt(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over blocks.

    Attributes:
        timed_s: wall time of the blocks.
        switches: involuntary context switches.
        major_faults: pages that had to be read from a disk.
        waited_s: the thread could have run and other programs did.
        held_back_s: its control group had used up its time.
        clock_drop: 1 - slowest/fastest of the processor whose clock fell most.
        clocks_hz: slowest, mean and fastest clock of the processors that it ran on.
    """

    timed_s: float = 0.0
    switches: int = 0
    major_faults: int = 0
    waited_s: float | None = None
    held_back_s: float | None = None
    clock_drop: float | None = None
    clocks_hz: tuple[float, float, float] | None = None


class _Counters(msgspec.Struct, frozen=True):
    at_s: float = 0.0
    switches: int = 0
    major_faults: int = 0
    waited_s: float | None = 0.0
    held_back_s: float | None = 0.0

    def risen_by(self, before: "_Counters", after: "_Counters") -> "_Counters":
        """Return these and what two readings differ by; what one does not know is not known."""
        return _Counters(
            at_s=self.at_s + after.at_s - before.at_s,
            switches=self.switches + after.switches - before.switches,
            major_faults=self.major_faults + after.major_faults - before.major_faults,
            waited_s=_risen(self.waited_s, before.waited_s, after.waited_s),
            held_back_s=_risen(self.held_back_s, before.held_back_s, after.held_back_s),
        )


class Feeler:
    """Adds up what blocks felt, in a memory that does not grow with them.

    Args:
        root: where `/proc` and `/sys` are looked for.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._sums: _Counters | None = None
        self._clocks = ClockRange()

    @contextmanager
    def during(self) -> Iterator[None]:
        """Note what is felt until the block ends; one that fails is not noted."""
        before = self._read()
        yield
        self._sums = (self._sums or _Counters()).risen_by(before, self._read())
        self._clocks.add(read_clock(self._root))

    def felt(self) -> Felt:
        """Return the sums until now."""
        sums = self._sums
        if sums is None:
            return Felt()
        return Felt(
            timed_s=sums.at_s,
            switches=sums.switches,
            major_faults=sums.major_faults,
            waited_s=sums.waited_s,
            held_back_s=sums.held_back_s,
            clock_drop=self._clocks.drop,
            clocks_hz=self._clocks.range_hz,
        )

    def _read(self) -> _Counters:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return _Counters(
            at_s=time.monotonic(),
            switches=used.ru_nivcsw,
            major_faults=used.ru_majflt,
            waited_s=_waited_s(self._root),
            held_back_s=held_back_s(self._root),
        )


def _risen(total: float | None, before: float | None, after: float | None) -> float | None:
    if total is None or before is None or after is None:
        return None
    return total + after - before


def _waited_s(root: Path) -> float | None:
    """Return how long this thread has waited for a processor since it began."""
    words = (read_text(root / "proc/thread-self/schedstat") or "").split()
    return int(words[1]) / 1e9 if len(words) == 3 and words[1].isdigit() else None
