# SPDX-License-Identifier: Apache-2.0
"""Many latency histograms as arrays, added at once exactly as `LatencyHistogram.merge` adds two.

Of the buckets those are held that lie between the shortest and the longest
duration of all. Nothing is counted here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from insight_edge.stats.columns import add_exactly, plus_exactly
from insight_edge.stats.latency import (
    BUCKETS,
    LatencyHistogram,
    latency_from_buckets,
    lower_edge,
    upper_edge,
)

Counts = NDArray[np.int64]

_LOWER = np.array([lower_edge(bucket) for bucket in range(BUCKETS)])
_UPPER = np.array([upper_edge(bucket) for bucket in range(BUCKETS)])

_MANY = 2**20
"""So many durations of at most 2^42 ns add up within 64 bits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Latencies:
    """Histograms; the first index is the histogram's.

    Attributes:
        first: index of the first bucket that is held.
        buckets: i8[n, held].
        total_ns, max_ns: i8[n].
    """

    first: int
    buckets: Counts
    total_ns: Counts
    max_ns: Counts

    @classmethod
    def of(
        cls,
        *,
        sizes: ArrayLike,
        indices: ArrayLike,
        counts: ArrayLike,
        total_ns: ArrayLike,
        max_ns: ArrayLike,
    ) -> Self:
        """Return histograms of what their buckets hold, one histogram after the other.

        Args:
            sizes: how many buckets of each hold anything.
            indices: of these buckets; those of one histogram differ.
            counts: what they hold.
            total_ns: of each histogram.
            max_ns: of each histogram.

        Raises:
            ValueError: an index is none of a bucket, or a bucket holds no duration.
            OverflowError: a figure does not fit 64 bits.
        """
        lengths, places, held, total, longest = (
            np.asarray(each, np.int64) for each in (sizes, indices, counts, total_ns, max_ns)
        )
        first, end = (int(places.min()), int(places.max()) + 1) if len(places) else (0, 0)
        if (held < 1).any() or not 0 <= first <= end <= BUCKETS:
            raise ValueError("no such bucket, or one with no durations")
        buckets = np.zeros((len(lengths), end - first), np.int64)
        buckets[np.repeat(np.arange(len(lengths)), lengths), places - first] = held
        return cls(first=first, buckets=buckets, total_ns=total, max_ns=longest)

    @property
    def count(self) -> Counts:
        """Return i8[n], durations."""
        return np.asarray(self.buckets.sum(axis=1))

    def quantile(self, share: float) -> Counts:
        """Return i8[n], of each what `LatencyHistogram.quantile` returns; 0 for one of none."""
        ranks = np.maximum(1, np.ceil(share * self.count))
        places = (self.buckets.cumsum(axis=1) < ranks[:, None]).sum(axis=1)
        found = np.minimum(_UPPER[np.minimum(self.first + places, BUCKETS - 1)], self.max_ns)
        return np.where(self.count > 0, found, 0)

    def impossible(self) -> NDArray[np.bool_]:
        """Return b1[n], which histograms no durations can have."""
        held = slice(self.first, self.first + self.buckets.shape[1])
        highest = np.where(self.buckets > 0, np.arange(held.start, held.stop), 0).max(
            axis=1, initial=0
        )
        broken = (self.max_ns < _LOWER[highest]) | (self.max_ns > _UPPER[highest])
        broken |= self.total_ns < self.buckets @ _LOWER[held]
        broken |= self.total_ns > self.buckets @ _UPPER[held]
        for index in np.flatnonzero(self.buckets.sum(axis=1, dtype=np.float64) > _MANY):
            broken[index] = not _is_possible(self.held_by(index), *self._figures(index))
        return np.asarray(broken, np.bool_)

    def add_groups(self, starts: Counts) -> "Latencies":
        """Return a histogram for each group of consecutive ones.

        Args:
            starts: i8[groups], where each begins: the first at 0, rising.

        Raises:
            OverflowError: a group lasted 292 years together.
        """
        return Latencies(
            first=self.first,
            buckets=np.add.reduceat(self.buckets, starts, axis=0),
            total_ns=np.array(add_exactly(self.total_ns, starts).tolist(), np.int64),
            max_ns=np.maximum.reduceat(self.max_ns, starts),
        )

    def plus(self, other: "Latencies") -> "Latencies":
        """Return the sums of histograms, each with the other's at its place.

        Raises:
            OverflowError: two lasted 292 years together.
        """
        first, (mine, theirs) = _aligned([self, other])
        return Latencies(
            first=first,
            buckets=mine + theirs,
            total_ns=np.array(plus_exactly(self.total_ns, other.total_ns).tolist(), np.int64),
            max_ns=np.maximum(self.max_ns, other.max_ns),
        )

    def taken(self, rows: Counts | slice) -> "Latencies":
        """Return some of the histograms, in the order asked for."""
        return Latencies(
            first=self.first,
            buckets=self.buckets[rows],
            total_ns=self.total_ns[rows],
            max_ns=self.max_ns[rows],
        )

    def held(self) -> tuple[Counts, Counts, Counts]:
        """Return `sizes`, `indices` and `counts` as `of` takes them."""
        rows, places = np.nonzero(self.buckets)
        sizes = np.bincount(rows, minlength=len(self.buckets))
        return sizes, places + self.first, self.buckets[rows, places]

    def held_by(self, index: int | np.intp) -> dict[int, int]:
        """Return what the buckets of one hold, by their index, without the empty ones."""
        own = self.buckets[index]
        places = np.flatnonzero(own)
        return dict(zip((places + self.first).tolist(), own[places].tolist(), strict=True))

    def histogram(self, index: int) -> LatencyHistogram:
        """Return one of them.

        Raises:
            ValueError: no durations can have it.
        """
        total_ns, max_ns = self._figures(index)
        return latency_from_buckets(self.held_by(index), total_ns=total_ns, max_ns=max_ns)

    def _figures(self, index: int | np.intp) -> tuple[int, int]:
        return int(self.total_ns[index]), int(self.max_ns[index])


def stacked(parts: Sequence[Latencies]) -> Latencies:
    """Return the histograms of all parts, one after the other."""
    first, buckets = _aligned(parts)
    return Latencies(
        first=first,
        buckets=np.concatenate(buckets),
        total_ns=np.concatenate([part.total_ns for part in parts]),
        max_ns=np.concatenate([part.max_ns for part in parts]),
    )


def _aligned(parts: Sequence[Latencies]) -> tuple[int, list[Counts]]:
    """Return the buckets of all parts from the same first one to the same last."""
    held = [(p.first, p.first + p.buckets.shape[1]) for p in parts if p.buckets.shape[1]]
    first, end = (
        min((low for low, _ in held), default=0),
        max((high for _, high in held), default=0),
    )
    return first, [_widened(part, first, end) for part in parts]


def _widened(part: Latencies, first: int, end: int) -> Counts:
    width = part.buckets.shape[1]
    if width == end - first:
        return part.buckets
    wide = np.zeros((len(part.buckets), end - first), np.int64)
    if width:
        wide[:, part.first - first : part.first - first + width] = part.buckets
    return wide


def _is_possible(buckets: Mapping[int, int], total_ns: int, max_ns: int) -> bool:
    try:
        latency_from_buckets(buckets, total_ns=total_ns, max_ns=max_ns)
    except ValueError:
        return False
    return True
