# SPDX-License-Identifier: Apache-2.0
"""Add many summaries over one grid at once, exactly as `Summary.merge` adds two.

Whoever merges thousands of summaries holds them as `Columns`: adding runs over
arrays then, and what is impossible is looked for once. Nothing is counted here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.stats.grid import Grid
from insight_edge.stats.summary import MAX_COUNT, Columns, Counts, Summary

_ROOM = 2.0**62
"""Sums that are estimated to be less fit 64 bits, whatever the estimate has rounded."""


def summary_at(columns: Columns, index: int, grid: Grid) -> Summary:
    """Return one of the summaries.

    Raises:
        ValueError: no rows can have it.
    """
    own = {name: getattr(columns, name)[index] for name in Columns.__struct_fields__}
    exact = {name: own[name].astype(np.object_) for name in ("sums", "squares")}
    return Summary(grid=grid, **(own | exact | {"count": int(own["count"])}))


def taken(columns: Columns, rows: Counts | slice) -> Columns:
    """Return some of the summaries, in the order asked for."""
    return Columns(**{name: getattr(columns, name)[rows] for name in Columns.__struct_fields__})


def stacked(parts: Sequence[Columns]) -> Columns:
    """Return the summaries of all parts, one after the other."""
    return Columns(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in Columns.__struct_fields__
        }
    )


def add_groups(columns: Columns, starts: Counts) -> Columns:
    """Return a summary for each group of consecutive ones.

    Args:
        columns: of summaries that rows can have.
        starts: i8[groups], where each begins: the first at 0, rising.

    Raises:
        ValueError: a group has more rows than one summary may have.
    """
    if (np.add.reduceat(columns.count.astype(np.float64), starts) > MAX_COUNT).any():
        raise ValueError(f"more than {MAX_COUNT} rows")
    kept = {
        name: np.add.reduceat(getattr(columns, name), starts, axis=0)
        for name in ("count", "missing", "below", "above", "bins")
    }
    return Columns(
        **kept,
        sums=add_exactly(columns.sums, starts),
        squares=add_exactly(columns.squares, starts),
        minimum=np.minimum.reduceat(columns.minimum, starts, axis=0),
        maximum=np.maximum.reduceat(columns.maximum, starts, axis=0),
    )


def plus(one: Columns, other: Columns) -> Columns:
    """Return the sums of summaries that rows can have, each with the other's at its place.

    Raises:
        ValueError: one has more rows than a summary may have.
    """
    if (one.count.astype(np.float64) + other.count > MAX_COUNT).any():
        raise ValueError(f"more than {MAX_COUNT} rows")
    return Columns(
        count=one.count + other.count,
        missing=one.missing + other.missing,
        below=one.below + other.below,
        above=one.above + other.above,
        bins=one.bins + other.bins,
        sums=plus_exactly(one.sums, other.sums),
        squares=plus_exactly(one.squares, other.squares),
        minimum=np.minimum(one.minimum, other.minimum),
        maximum=np.maximum(one.maximum, other.maximum),
    )


def plus_exactly(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return the sums of integers: of 64 bits while they fit, of any size beyond."""
    if np.object_ not in (one.dtype, other.dtype) and _furthest(one) + _furthest(other) >= _ROOM:
        one = one.astype(np.object_)
    return np.asarray(one + other)


def add_exactly(values: NDArray[Any], starts: Counts) -> NDArray[Any]:
    """Return the sums of groups of integers: of 64 bits while they fit, of any size beyond."""
    if values.dtype != np.object_ and _furthest(values) * len(values) >= _ROOM:
        values = values.astype(np.object_)
    return np.asarray(np.add.reduceat(values, starts, axis=0))


def _furthest(values: NDArray[np.int64]) -> float:
    return float(np.abs(values.astype(np.float64)).max(initial=0.0))


def integers(values: Sequence[Sequence[int]]) -> NDArray[Any]:
    """Return rows of integers: of 64 bits where all fit, else of any size.

    Raises:
        ValueError: they are of unlike lengths.
    """
    try:
        return np.array(values, np.int64)
    except OverflowError:
        return np.array(values, np.object_)
