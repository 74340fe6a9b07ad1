# SPDX-License-Identifier: Apache-2.0
"""How many builds run at once, and on which processors each of them.

A toolchain starts as many threads as it sees processors. Two builds that both
see all of them take longer than one after the other, so each gets a share of
its own. Nothing here starts a build (`compile.builds` does).
"""

import os
from collections.abc import Sequence
from itertools import pairwise

from insight_edge.compile.building.outcome import GIB, BuildLimits

BASE_BYTES = GIB
"""What a build of a small model takes: 0.1 to 0.4 GiB were seen, by toolchain."""

TIMES_MODEL = 4
"""What a build takes beside that, in sizes of its model: 2.9 were seen at 1.9 GB."""

Cpus = tuple[int, ...]


def builds_at_once(
    count: int,
    *,
    wanted: int | None,
    cpus: int,
    free_bytes: int,
    model_bytes: int,
    limits: BuildLimits,
) -> int:
    """Return how many of some builds may run at once, at least one.

    Args:
        count: of the builds, at least one.
        wanted: at most so many; as many as fit for None.
        cpus: how many processors there are.
        free_bytes: of memory.
        model_bytes: of the model that all build.
        limits: of each build.
    """
    need_bytes = min(limits.memory_bytes, BASE_BYTES + TIMES_MODEL * model_bytes)
    fit = free_bytes // max(1, need_bytes)
    return max(1, min(count, wanted or cpus, cpus, fit))


def shares(cpus: Sequence[int], count: int) -> tuple[Cpus, ...]:
    """Return `count` parts of the processors, none empty and as equal as can be.

    Neighbours stay together: they are often two threads of one core.

    Args:
        cpus: their numbers, at least `count`.
        count: of the parts, at least one.
    """
    ordered = sorted(cpus)
    edges = [len(ordered) * part // count for part in range(count + 1)]
    return tuple(tuple(ordered[start:end]) for start, end in pairwise(edges))


def usable_cpus() -> Cpus:
    """Return the processors that this thread may run on."""
    return tuple(sorted(os.sched_getaffinity(0)))


def pin(cpus: Cpus) -> None:
    """Keep this thread, and what it starts from now on, on some processors."""
    os.sched_setaffinity(0, cpus)
