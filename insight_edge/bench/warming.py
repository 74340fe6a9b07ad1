# SPDX-License-Identifier: Apache-2.0
"""Warm a call up until its duration has kept its level, and tell what that took.

Durations are looked at in groups, by the median of each, in logarithms: levels differ by a
ratio. When the first call that counts may be made is said by `stats.changepoint`; whether a
measurement of what was not steady may be used, by `bench.verdict`.
"""

import time
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import numpy as np

from insight_edge.bench.measure import time_block
from insight_edge.documents.measured import WarmUp
from insight_edge.stats.changepoint import steady_from

CAP_S: Final = 10.0
"""Ten groups of a call that takes a second; fans and governors settle sooner."""

GROUP_S: Final = 0.01
"""A group lasts at least so long: a scheduler's tick and more."""

STEADY_GROUPS: Final = 10
STEADY_RATIO: Final = 1.05
"""Levels this close are one: half the width that the interval of a p50 may have."""

LEAST_SPREAD: Final = 0.01
"""Of the logarithm of a median: no machine repeats a level more closely."""

LOOK_EVERY: Final = 5
"""Groups; looking takes a tenth of the time that it takes to fill them."""

WINDOW: Final = 60
"""So many last groups are looked at; what was before them is over."""

Query = TypeVar("Query")


def warm_up_for(
    call: Callable[[Query], object], queries: Iterator[Query], *, most_s: float, whole: bool = False
) -> tuple[WarmUp, float]:
    """Return what a warm-up took, and the median duration of a call at its end in seconds.

    Args:
        call: what is warmed up.
        queries: one for each call.
        most_s: no group begins later; there is at least one.
        whole: it goes on for all of that time, steady or not.
    """
    begin, calls, medians = time.monotonic(), 0, list[float]()
    while True:
        group = _group(call, queries)
        calls += len(group)
        medians.append(max(float(np.median(group)), 1.0) / 1e9)
        elapsed_s = time.monotonic() - begin
        over = elapsed_s >= most_s
        if over or (not whole and len(medians) % LOOK_EVERY == 0):
            steady = is_steady(medians[-WINDOW:])
            if over or steady:
                kept = float(np.median(medians[-STEADY_GROUPS:]))
                return WarmUp(calls=calls, duration_s=elapsed_s, steady=steady), kept


def is_steady(medians_s: list[float]) -> bool:
    """Return whether groups have kept one level for as long as is asked."""
    if len(medians_s) < STEADY_GROUPS:
        return False
    start = steady_from(
        np.log(medians_s), tolerance=float(np.log(STEADY_RATIO)), least_spread=LEAST_SPREAD
    )
    return len(medians_s) - start >= STEADY_GROUPS


def _group(call: Callable[[Query], object], queries: Iterator[Query]) -> list[np.int64]:
    durations = [time_block(call, queries, 1)[0]]
    left_ns = GROUP_S * 1e9 - durations[0]
    while left_ns > 0:
        durations.append(time_block(call, queries, 1)[0])
        left_ns -= max(durations[-1], 1000)
    return durations
