# SPDX-License-Identifier: Apache-2.0
"""Read the energy of a run, and of the machine idle before it, and divide it by inferences."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from insight_edge.bench.energy.source import Source
from insight_edge.documents.measured import Energy

IDLE_SHARE: Final = 0.5
"""Of the run's time the machine is read idle before it."""

_READ_EVERY_S = 0.02


def metered(
    work: Callable[[], int], sources: Sequence[Source], duration_s: float
) -> tuple[Energy, ...]:
    """Return the energy that each source told of work that is repeated for so long.

    Args:
        work: does a little and returns how many rows it inferred.
        sources: all are read around each piece of it.
        duration_s: of the work; half of it passes before, in which nothing is done.
    """

    def rest() -> int:
        time.sleep(_READ_EVERY_S)
        return 0

    idle_s, _, idle_j = _repeated(rest, sources, duration_s * IDLE_SHARE)
    busy_s, rows, busy_j = _repeated(work, sources, duration_s)
    return tuple(
        energy_of(
            source.name, idle=(idle_j[index], idle_s), busy=(busy_j[index], busy_s), rows=rows
        )
        for index, source in enumerate(sources)
    )


def energy_of(name: str, idle: tuple[float, float], busy: tuple[float, float], rows: int) -> Energy:
    """Return the energy of a row, what the machine takes idle subtracted.

    Args:
        name: of the source.
        idle: joules, and the seconds that they were told in.
        busy: the same, of the run.
        rows: inferred while it was busy.
    """
    (idle_j, idle_s), (busy_j, busy_s) = idle, busy
    idle_w = idle_j / idle_s
    return Energy(
        source=name,
        mj_per_inference=(busy_j - idle_w * busy_s) * 1e3 / rows,
        idle_w=idle_w,
        busy_w=busy_j / busy_s,
        duration_s=busy_s,
        inferences=rows,
    )


def _repeated(
    work: Callable[[], int], sources: Sequence[Source], duration_s: float
) -> tuple[float, int, list[float]]:
    """Return how long it took, what work returned in all, and the joules of each source."""
    begin_s, rows = time.monotonic(), 0
    before = [source.joules(begin_s) for source in sources]
    while True:
        rows += work()
        now_s = time.monotonic()
        after = [source.joules(now_s) for source in sources]
        if now_s - begin_s >= duration_s:
            spent = [end - start for start, end in zip(before, after, strict=True)]
            return now_s - begin_s, rows, spent
