# SPDX-License-Identifier: Apache-2.0
"""A lane: what one caller inside a bundle writes to, without a lock.

A caller takes a lane when it enters `infer` and puts it back when it leaves, so
at any time a lane has one writer; the observer alone takes calls out. Between them
is a ring: the caller fills a place and then counts it in `put`, the observer copies
places and then counts them in `taken`; each number has one writer. When the lane is
full, rows are not kept: the statistics then saw a sample, and the report says so by
`observed` < `asked`.

Rows are kept as bytes in their own dtype, a copy that neither the caller nor the
engine can change afterwards (`tobytes` is the cheapest copy NumPy has). The observer
takes many calls in a few steps, none of which goes call by call: while it does, callers
wait for the interpreter. What is computed of the rows is the observer's business.
"""

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.tensors import TensorSpec

MAX_ROWS = 4096
MIN_ROWS = 8
LANE_BYTES = 1024 * 1024
"""A lane holds as many rows as fit, within both bounds."""

OBJECT_BYTES = 48
"""What CPython needs for the bytes of a row besides them, and for the place that they are in."""

FEW_ROWS = 256
"""A lane of fewer holds large rows, whose memory is not kept until they are overwritten."""

Tensors = Mapping[str, NDArray[Any]]


class Chunk(NamedTuple):
    """Some calls, oldest first.

    Attributes:
        latencies_ns: of each call.
        kept: the rows of all calls as bytes, for each observed input and output tensor; the
            observer empties it where features have been computed of them.
    """

    latencies_ns: NDArray[np.int64]
    kept: list[bytes]


class Lane:
    """Counters and rows of the calls that one caller at a time makes.

    Attributes:
        asked, answered, failed, broken: since the lane was made, never reset.
        head: rows ever put in, and `put` calls; the caller's to write.
        tail: rows ever taken out, and `taken` calls; the observer's to write.
        sample_due_ns: monotonic time from which the next result is kept as a prediction.
    """

    __slots__ = (
        "_at", "_half", "_inputs", "_latencies_ns", "_outputs", "_rings", "_rows", "_widest",
        "answered", "asked", "broken", "capacity", "failed", "head", "put", "sample_due_ns",
        "tail", "taken",
    )  # fmt: skip

    def __init__(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        self.capacity = capacity = _capacity((*inputs, *outputs))
        self._half = capacity // 2
        self._latencies_ns, self._rows = (
            array("q", bytes(8 * capacity)),
            array("q", bytes(8 * capacity)),
        )
        self._inputs = tuple((spec.name, [b""] * capacity) for spec in inputs)
        self._outputs = tuple((spec.name, [b""] * capacity) for spec in outputs)
        self._rings = tuple(ring for _, ring in (*self._inputs, *self._outputs))
        self._at, self._widest = 0, 1
        self.asked = self.answered = self.failed = self.broken = 0
        self.head = self.tail = self.put = self.taken = 0
        self.sample_due_ns = 0

    def keep(self, rows: int, latency_ns: int, fed: Tensors, answered: Tensors) -> bool:
        """Keep the rows of one call, as many as there is room for.

        Return whether another half of the lane has filled: time to ring the observer.
        """
        room = self.capacity + self.tail - self.head
        if rows > room:
            if not room:
                return False
            fed = {name: fed[name][:room] for name, _ in self._inputs}
            answered = {name: answered[name][:room] for name, _ in self._outputs}
            rows = room
        at = self._at
        for name, ring in self._inputs:
            ring[at] = fed[name].tobytes()
        for name, ring in self._outputs:
            ring[at] = answered[name].tobytes()
        self._latencies_ns[at] = latency_ns
        self._rows[at] = rows
        self._widest = max(self._widest, rows)
        self._at = at + 1 if at + 1 < self.capacity else 0
        self.head = head = self.head + rows
        self.put += 1
        return head % self._half < rows

    def take(self, at_most: int) -> Chunk:
        """Return the oldest calls that wait, at least one, of about `at_most` rows.

        Raises:
            ValueError: none waits.
        """
        calls = min(self.put - self.taken, max(1, at_most // self._widest))
        if calls < 1:
            raise ValueError("no call waits")
        start = self.taken % self.capacity
        first = slice(start, min(start + calls, self.capacity))
        rest = slice(0, max(0, start + calls - self.capacity))
        kept = [_joined(ring, first, rest) for ring in self._rings]
        if self.capacity < FEW_ROWS:
            self._forget(first, rest)
        latencies_ns = self._latencies_ns[first] + self._latencies_ns[rest]
        rows = calls if self._widest == 1 else sum(self._rows[first] + self._rows[rest])
        self.tail += rows
        self.taken += calls
        return Chunk(np.frombuffer(latencies_ns, np.int64), kept)

    def _forget(self, *places: slice) -> None:
        for ring in self._rings:
            for place in places:
                ring[place] = [b""] * len(ring[place])


def _joined(ring: list[bytes], first: slice, rest: slice) -> bytes:
    """Return the rows in two runs of places; most of the time there is one."""
    return b"".join(ring[first] + ring[rest] if rest.stop else ring[first])


def observable(spec: TensorSpec) -> bool:
    """Return whether rows of this tensor can be kept: numbers of one fixed shape."""
    fixed = all(isinstance(size, int) for size in spec.shape[1:])
    return fixed and bool(spec.shape) and np.dtype(spec.dtype).kind in "fiub"


def row_shape(spec: TensorSpec) -> tuple[int, ...]:
    """Return the shape of one row of an observable tensor."""
    return tuple(int(size) for size in spec.shape[1:])


def _capacity(specs: Sequence[TensorSpec]) -> int:
    row_bytes = sum(
        np.dtype(spec.dtype).itemsize * math.prod(row_shape(spec)) + OBJECT_BYTES for spec in specs
    )
    return max(MIN_ROWS, min(MAX_ROWS, LANE_BYTES // max(1, row_bytes)))
