# SPDX-License-Identifier: Apache-2.0
"""A lane: what one caller inside a bundle writes to, without a lock.

A caller takes a lane when it enters `infer` and puts it back when it leaves, so
at any time a lane has one writer; the observer alone takes entries out. The
queue between them is a deque, whose `append` and `popleft` are atomic; `head`
and `tail` count the rows put in and taken out, each with one writer. When the
lane is full, rows are not kept: the statistics then saw a sample, and the
report says so by `observed` < `asked`.

An entry holds rows as bytes in their own dtype, a copy that neither the caller
nor the engine can change afterwards (`tobytes` is the cheapest copy NumPy has).
What is computed of them is the observer's business.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.tensors import TensorSpec

MAX_ROWS = 1024
MIN_ROWS = 8
LANE_BYTES = 4 * 1024 * 1024
"""A lane holds as many rows as fit, within both bounds."""

Tensors = Mapping[str, NDArray[Any]]
Entry = list[Any]
"""Latency of a call in ns, then the bytes of each observed input and output tensor."""


class Lane:
    """Counters and rows of the calls that one caller at a time makes.

    Attributes:
        asked, answered, failed, broken: since the lane was made, never reset.
        entries: rows and entry of each call that is not counted yet, oldest first.
        head: rows ever put in; the caller's to write.
        tail: rows ever taken out; the observer's to write.
        sample_due_ns: monotonic time from which the next result is kept as a prediction.
    """

    __slots__ = (
        "_inputs", "_outputs", "_quarter", "answered", "asked", "broken", "capacity", "entries",
        "failed", "head", "sample_due_ns", "tail",
    )  # fmt: skip

    def __init__(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        self._inputs = tuple(spec.name for spec in inputs)
        self._outputs = tuple(spec.name for spec in outputs)
        self.capacity = _capacity((*inputs, *outputs))
        self._quarter = self.capacity // 4
        self.entries: deque[tuple[int, Entry]] = deque()
        self.asked = self.answered = self.failed = self.broken = 0
        self.head = self.tail = 0
        self.sample_due_ns = 0

    def keep(self, rows: int, latency_ns: int, fed: Tensors, answered: Tensors) -> bool:
        """Keep the rows of one call, as many as there is room for.

        Return whether another quarter of the lane has filled: time to ring the observer.
        """
        room = self.capacity + self.tail - self.head
        if rows > room:
            if not room:
                return False
            fed = {name: fed[name][:room] for name in self._inputs}
            answered = {name: answered[name][:room] for name in self._outputs}
            rows = room
        entry: Entry = [latency_ns]
        for name in self._inputs:
            entry.append(fed[name].tobytes())
        for name in self._outputs:
            entry.append(answered[name].tobytes())
        self.entries.append((rows, entry))
        self.head = head = self.head + rows
        return head % self._quarter < rows

    def take(self, at_most: int) -> list[Entry]:
        """Return the oldest entries, of at least one call and about `at_most` rows."""
        taken: list[Entry] = []
        rows = 0
        while self.entries and rows < at_most:
            more, entry = self.entries.popleft()
            taken.append(entry)
            rows += more
        self.tail += rows
        return taken


def observable(spec: TensorSpec) -> bool:
    """Return whether rows of this tensor can be kept: numbers of one fixed shape."""
    fixed = all(isinstance(size, int) for size in spec.shape[1:])
    return fixed and bool(spec.shape) and np.dtype(spec.dtype).kind in "fiub"


def row_shape(spec: TensorSpec) -> tuple[int, ...]:
    """Return the shape of one row of an observable tensor."""
    return tuple(int(size) for size in spec.shape[1:])


def _capacity(specs: Sequence[TensorSpec]) -> int:
    row_bytes = sum(np.dtype(spec.dtype).itemsize * math.prod(row_shape(spec)) for spec in specs)
    return max(MIN_ROWS, min(MAX_ROWS, LANE_BYTES // max(1, row_bytes)))
