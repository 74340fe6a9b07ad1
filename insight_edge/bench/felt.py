# SPDX-License-Identifier: Apache-2.0
"""What a process felt of its machine while it was timed: held back, waiting, paging, slowed down.

Counters of the process and of the thread that asks are read around each block, from
`getrusage`, `/proc` and the control group; its clock after it. What the kernel does not tell is
None. Whether it was too much is decided by `bench.disturbance`.
"""

import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from insight_edge.bench.clock import Clock, clock_drop, read_clock
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
    at_s: float
    switches: int
    major_faults: int
    waited_s: float | None
    held_back_s: float | None


class Feeler:
    """Adds up what blocks felt.

    Args:
        root: where `/proc` and `/sys` are looked for.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._blocks: list[tuple[_Counters, _Counters]] = []
        self._clocks: list[Clock] = []

    @contextmanager
    def during(self) -> Iterator[None]:
        """Note what is felt until the block ends; one that fails is not noted."""
        before = self._read()
        yield
        self._blocks.append((before, self._read()))
        self._clocks += filter(None, [read_clock(self._root)])

    def felt(self) -> Felt:
        """Return the sums until now."""
        clocks = [hertz for _, hertz in self._clocks]
        ends = self._blocks
        return Felt(
            timed_s=sum(after.at_s - before.at_s for before, after in ends),
            switches=sum(after.switches - before.switches for before, after in ends),
            major_faults=sum(after.major_faults - before.major_faults for before, after in ends),
            waited_s=_sum([(before.waited_s, after.waited_s) for before, after in ends]),
            held_back_s=_sum([(before.held_back_s, after.held_back_s) for before, after in ends]),
            clock_drop=clock_drop(self._clocks),
            clocks_hz=(min(clocks), sum(clocks) / len(clocks), max(clocks)) if clocks else None,
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


def _waited_s(root: Path) -> float | None:
    """Return how long this thread has waited for a processor since it began."""
    words = (read_text(root / "proc/thread-self/schedstat") or "").split()
    return int(words[1]) / 1e9 if len(words) == 3 and words[1].isdigit() else None


def _sum(ends: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Return the sum of differences; None where one of them is not known, or there is none."""
    known = [(before, after) for before, after in ends if before is not None and after is not None]
    if not ends or len(known) < len(ends):
        return None
    return sum(after - before for before, after in known)
