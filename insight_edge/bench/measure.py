# SPDX-License-Identifier: Apache-2.0
"""Time a call: one caller, one query after the other, by the monotonic clock.

The timed region is the call and nothing else. What the figures mean is said by
`bench.verdict`.
"""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

WARM_UP_CALLS = 10
WARM_UP_CAP_S = 2.0
STEADY_SHARE = 0.05

BLOCK_S = 0.03
"""A block lasts about this long: many scheduler ticks, and far less than drifts of the clock."""

MIN_BLOCK, MAX_BLOCK = 5, 500

Query = TypeVar("Query")


def time_block(
    call: Callable[[Query], object], queries: Iterator[Query], iterations: int
) -> NDArray[np.int64]:
    """Return the duration in ns of each of `iterations` calls, a query each."""
    durations = np.empty(iterations, np.int64)
    clock = time.perf_counter_ns
    for index in range(iterations):
        query = next(queries)
        start = clock()
        call(query)
        durations[index] = clock() - start
    return durations


def warm_up(call: Callable[[Query], object], queries: Iterator[Query]) -> float:
    """Call until it is steady and return the median duration then, in seconds.

    Steady: two groups of ten calls in a row whose medians are within 5 % of the
    group before. After two seconds the call that is under way is the last one.
    """
    deadline = time.monotonic() + WARM_UP_CAP_S
    before, steady = 0.0, 0
    while True:
        median = float(np.median(_group(call, queries, deadline)))
        steady = steady + 1 if abs(median - before) <= STEADY_SHARE * before else 0
        if steady >= 2 or time.monotonic() > deadline:
            return median / 1e9
        before = median


def block_iterations(call_s: float, least: int = MIN_BLOCK) -> int:
    """Return how many calls make a block of about `BLOCK_S`, at least some of them."""
    usual = int(np.clip(round(BLOCK_S / max(call_s, 1e-9)), MIN_BLOCK, MAX_BLOCK))
    return max(usual, least)


def _group(
    call: Callable[[Query], object], queries: Iterator[Query], deadline: float
) -> list[np.int64]:
    durations = [time_block(call, queries, 1)[0]]
    while len(durations) < WARM_UP_CALLS and time.monotonic() < deadline:
        durations.append(time_block(call, queries, 1)[0])
    return durations
