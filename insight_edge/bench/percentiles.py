# SPDX-License-Identifier: Apache-2.0
"""Percentiles of a measurement: which there are, and which that were asked for there are not."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.doubt import Doubt
from insight_edge.documents.measured import Percentile
from insight_edge.stats.early_stopping import queries_needed
from insight_edge.stats.tail import percentile

Blocks = Sequence[NDArray[np.int64]] | Sequence[NDArray[np.float64]]

USUAL = 90.0, 95.0, 99.0, 99.9
"""Told where nobody asks, as far as the latencies support them."""


def percentiles_of(blocks: Blocks, percents: Iterable[float]) -> tuple[Percentile, ...]:
    """Return those percentiles that rounds of latencies in ns support.

    One that lies among queries that were never answered is left out.

    Raises:
        ValueError: a percentage is not between 0 and 100.
    """
    found = ((percent, percentile(blocks, percent / 100)) for percent in percents)
    return tuple(
        Percentile(
            percent=percent,
            value_ms=tail.value / 1e6,
            low_ms=tail.low / 1e6,
            high_ms=tail.high / 1e6,
            at_most_ms=tail.at_most / 1e6,
        )
        for percent, tail in found
        if tail is not None and np.isfinite(max(tail.high, tail.at_most))
    )


def percentile_doubts(
    count: int, percents: Iterable[float], found: Iterable[Percentile]
) -> tuple[Doubt, ...]:
    """Return a doubt for each percentile that was asked for and is not among those found.

    Args:
        count: queries, answered or not.
        percents: that were asked for.
        found: those that there are.
    """
    there = {one.percent for one in found}
    return tuple(
        Doubt("INVALID", _why_absent(percent, count))
        for percent in percents
        if percent not in there
    )


def _why_absent(percent: float, count: int) -> str:
    needed = queries_needed(percent / 100)
    if count < needed:
        lacking = f"{needed - count} more than there are"
        return f"{name_of(percent)} needs {needed} inferences, {lacking}"
    return f"{name_of(percent)} lies among queries that were dropped"


def name_of(percent: float) -> str:
    """Return what a percentile is called: `p99.9`."""
    return f"p{percent:.10g}"
