# SPDX-License-Identifier: Apache-2.0
"""A call timed from several threads at once, as an application makes it."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from types import TracebackType
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.measure import time_block

Query = TypeVar("Query")


class Callers(Generic[Query]):
    """Threads that make the same call side by side; a context manager.

    Args:
        call: what each of them calls.
        queries: asked in turn, over and over, by each caller.
        count: of threads.
        after: called after every block, off the clock.
    """

    def __init__(
        self,
        call: Callable[[Query], object],
        queries: Sequence[Query],
        count: int,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._call = call
        self._queries = queries
        self._count = count
        self._after = after
        self._start = threading.Barrier(count)
        self._pool = ThreadPoolExecutor(count)

    def block(self, iterations: int) -> NDArray[np.int64]:
        """Return the duration in ns of each of `iterations` calls of every caller."""
        own = list(self._pool.map(self._time, [iterations] * self._count))
        self._after()
        return np.concatenate(own)

    def __enter__(self) -> Self:
        """Return the callers themselves."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _time(self, iterations: int) -> NDArray[np.int64]:
        self._start.wait()
        return time_block(self._call, cycle(self._queries), iterations)
