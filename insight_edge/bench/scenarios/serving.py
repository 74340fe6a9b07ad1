# SPDX-License-Identifier: Apache-2.0
"""Answer queries that are due at given times, one at a time, in the order in which they came.

A query that is late is still answered, and those behind it wait: nothing is asked later because
something was slow, so that no waiting is left out of the latencies (*coordinated omission*).
What the times mean is said by `scenarios.load`.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

NEVER: Final = -1
"""In place of the times of a query that was dropped."""

_SPUN_NS = 200_000
"""The last bit of waiting is not slept: a sleep ends some tens of microseconds late."""

Query = TypeVar("Query")


def serve(
    call: Callable[[Query], object],
    queries: Iterator[Query],
    due_ns: Sequence[int],
    waiting: int,
) -> NDArray[np.int64]:
    """Return when each query was begun and answered, i8[n, 2], ns from the beginning.

    Args:
        call: answers a query.
        queries: one for each that is answered.
        due_ns: when each is due, rising.
        waiting: so many may wait, at least 1; one that finds as many is dropped: `NEVER`.
    """
    times = np.full((len(due_ns), 2), NEVER, np.int64)
    queue, coming, clock = deque[int](), 0, time.perf_counter_ns
    begin, free_ns = clock(), 0
    while queue or coming < len(due_ns):
        while coming < len(due_ns) and due_ns[coming] < free_ns:
            if len(queue) < waiting:
                queue.append(coming)
            coming += 1
        if not queue and coming < len(due_ns):
            _wait_until(begin + due_ns[coming])
            queue.append(coming)
            coming += 1
        if queue:
            index, query = queue.popleft(), next(queries)
            started = clock()
            call(query)
            free_ns = clock() - begin
            times[index] = started - begin, free_ns
    return times


def _wait_until(then_ns: int) -> None:
    while (left_ns := then_ns - time.perf_counter_ns()) > 0:
        if left_ns > _SPUN_NS:
            time.sleep((left_ns - _SPUN_NS) / 1e9)
