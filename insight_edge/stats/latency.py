# SPDX-License-Identifier: Apache-2.0
"""A latency histogram: durations in logarithmic buckets, over words that may be a file.

32 buckets an octave, so a quantile is off by less than 3.2 % at any scale
(rule S5). All words zero is the empty histogram, and merging adds words: the
same monoid as the rest of this room. One thread writes. No clock is read here.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

SUB_BUCKETS = 32
"""Buckets an octave: a bucket's width is at most 1/32 of its lower edge."""

OCTAVES = 38
LONGEST_NS = 2**42 - 1
"""Over an hour; a longer duration counts as this one, so that none leaves the buckets."""

_SUB_BITS = 5
BUCKETS = SUB_BUCKETS * OCTAVES
_COUNT, _TOTAL, _MAX = 0, 1, 2
_FIXED = 3


class LatencyHistogram:
    """Counts durations into `LatencyHistogram.words()` words.

    Args:
        buffer: i8[words] to count into, with what it already holds; None for memory of its own.

    Raises:
        ValueError: the buffer has another length or dtype.
    """

    def __init__(self, buffer: NDArray[np.int64] | None = None) -> None:
        buffer = np.zeros(self.words(), np.int64) if buffer is None else buffer
        if buffer.shape != (self.words(),) or buffer.dtype != np.int64:
            raise ValueError(f"buffer is {buffer.dtype}{buffer.shape}, not int64({self.words()},)")
        self._buffer = buffer
        self._buckets = buffer[_FIXED:]

    @staticmethod
    def words() -> int:
        """Return how many 64-bit words a histogram needs."""
        return _FIXED + BUCKETS

    @property
    def count(self) -> int:
        """Durations counted so far."""
        return int(self._buffer[_COUNT])

    @property
    def total_ns(self) -> int:
        """Exact sum of all durations, each as it was counted."""
        return int(self._buffer[_TOTAL])

    @property
    def max_ns(self) -> int:
        """The longest duration; 0 where there is none."""
        return int(self._buffer[_MAX])

    def observe_ns(self, durations_ns: NDArray[np.int64]) -> None:
        """Count durations, i8[n], those outside 0 to `LONGEST_NS` as the nearer of the two."""
        if not len(durations_ns):
            return
        durations = np.clip(durations_ns, 0, LONGEST_NS)
        self._buckets += np.bincount(bucket_of(durations), minlength=BUCKETS)
        self._buffer[_COUNT] += len(durations)
        self._buffer[_TOTAL] += int(durations.sum())
        self._buffer[_MAX] = max(self.max_ns, int(durations.max()))

    def merge(self, other: "LatencyHistogram") -> "LatencyHistogram":
        """Return a new histogram of both.

        Raises:
            OverflowError: together they lasted 292 years.
        """
        words = self._buffer + other._buffer  # noqa: SLF001 (of its own class)
        words[_TOTAL] = self.total_ns + other.total_ns
        words[_MAX] = max(self.max_ns, other.max_ns)
        return LatencyHistogram(words)

    def quantile(self, share: float) -> int:
        """Return the duration in ns that a share (0 to 1) of them does not exceed.

        It is the upper edge of a bucket, never above the longest duration seen.

        Raises:
            ValueError: nothing has been counted, or the share is not within 0 and 1.
        """
        if not self.count or not 0 <= share <= 1:
            raise ValueError(f"no quantile {share} of {self.count} durations")
        rank = max(1, int(np.ceil(share * self.count)))
        bucket = int(np.searchsorted(self._buckets.cumsum(), rank))
        return min(upper_edge(bucket), self.max_ns)

    def buckets(self) -> dict[int, int]:
        """Return the counts of the buckets that hold anything, by index."""
        return {int(index): int(self._buckets[index]) for index in np.flatnonzero(self._buckets)}

    def __eq__(self, other: object) -> bool:
        """Compare all counts."""
        return isinstance(other, LatencyHistogram) and np.array_equal(self._buffer, other._buffer)

    __hash__ = None  # type: ignore[assignment]  # it changes


def latency_from_buckets(
    buckets: Mapping[int, int], *, total_ns: int, max_ns: int
) -> LatencyHistogram:
    """Return the histogram with these counts.

    Raises:
        ValueError: an index is none of a bucket, or no durations have these figures.
        OverflowError: a figure does not fit 64 bits.
    """
    words = np.zeros(LatencyHistogram.words(), np.int64)
    for index, count in buckets.items():
        if not 0 <= index < BUCKETS or count < 1:
            raise ValueError(f"no bucket {index} with {count} durations")
        words[_FIXED + index] = count
    highest = max(buckets, default=0)
    least = sum(count * lower_edge(index) for index, count in buckets.items())
    most = sum(count * upper_edge(index) for index, count in buckets.items())
    if not (least <= total_ns <= most and lower_edge(highest) <= max_ns <= upper_edge(highest)):
        raise ValueError(f"no durations in these buckets have {total_ns=} and {max_ns=}")
    words[:_FIXED] = sum(buckets.values()), total_ns, max_ns
    return LatencyHistogram(words)


def bucket_of(durations_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bucket of each duration from 0 to `LONGEST_NS`: 32 an octave, one a ns below."""
    _, exponent = np.frexp(durations_ns.astype(np.float64))
    octave = np.maximum(exponent - 1 - _SUB_BITS, 0).astype(np.int64)
    return np.asarray(octave * SUB_BUCKETS + (durations_ns >> octave), np.int64)


def lower_edge(bucket: int) -> int:
    """Return the shortest whole duration in ns that falls into a bucket."""
    if bucket < SUB_BUCKETS:
        return bucket
    octave, sub = divmod(bucket - SUB_BUCKETS, SUB_BUCKETS)
    return (SUB_BUCKETS + sub) << octave


def upper_edge(bucket: int) -> int:
    """Return the longest whole duration in ns that falls into a bucket."""
    return lower_edge(bucket + 1) - 1
