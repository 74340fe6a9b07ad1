# SPDX-License-Identifier: Apache-2.0
"""Callers that ask a runtime without pause while it swaps bundles, and what they saw.

Importing this imports no engine, and neither does a process that imports it:
`swap_in_new_process` shows what the first swap to an engine costs.
"""

import multiprocessing
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.windows import Window, split
from insight_edge.bench.measure import time_block, warm_up
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.isolation import Isolation

CHUNK_CALLS = 20
"""Calls between two looks at whether the load is over."""

TOLERANCE = 1e-4
"""Of an answer by another thread; two versions to tell apart must differ by more."""

Feed = Mapping[str, NDArray[Any]]
Answers = Mapping[str, NDArray[np.float32]]
"""By digest of the bundle."""

Durations = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Swaps:
    """What callers saw of some swaps.

    Attributes:
        during, before: durations in ns of the calls during each swap, and in the steady state
            before it.
        swap_ms: from request to return, of each.
        flip_ms: of each.
        asked, dropped: calls, and those that raised.
        mixed: answers other than the one that the bundle they name gives when it serves alone.
    """

    during: list[Durations]
    before: list[Durations]
    swap_ms: list[float]
    flip_ms: list[float]
    asked: int
    dropped: int
    mixed: int

    def __add__(self, other: "Swaps") -> "Swaps":
        """Return both together."""
        return Swaps(
            during=self.during + other.during,
            before=self.before + other.before,
            swap_ms=self.swap_ms + other.swap_ms,
            flip_ms=self.flip_ms + other.flip_ms,
            asked=self.asked + other.asked,
            dropped=self.dropped + other.dropped,
            mixed=self.mixed + other.mixed,
        )


@dataclass(frozen=True, kw_only=True)
class Load:
    """Who asks, of what, and where the engine is.

    Attributes:
        callers: threads that ask without pause.
        isolation: of a child that the engine runs in; None in process.
        steady_s: before each swap.
    """

    feed: Feed
    callers: int
    isolation: Isolation | None = None
    steady_s: float = 0.5


def swap_under_load(first: Path, following: Sequence[Path], load: Load, expected: Answers) -> Swaps:
    """Serve the first bundle under load and swap to each following one after a steady state."""
    pause = threading.Event()
    windows, flips_ms = [], []
    with Runtime.open(first, allow_unsigned=True, threads=1, isolation=load.isolation) as runtime:
        warm_up(runtime.infer, repeat(load.feed))
        with _asking(runtime, load) as callers:
            for bundle in following:
                pause.wait(load.steady_s)
                opened_ns = perf_counter_ns()
                flips_ms.append(runtime.swap(bundle).flip_ms)
                windows.append(Window(opened_ns, perf_counter_ns()))
    started_ns, finished_ns = map(np.concatenate, zip(*(c.times() for c in callers), strict=True))
    during, before = split(started_ns, finished_ns, windows)
    return Swaps(
        during=during,
        before=before,
        swap_ms=[(window.closed_ns - window.opened_ns) / 1e6 for window in windows],
        flip_ms=flips_ms,
        asked=sum(len(caller.answers) for caller in callers),
        dropped=sum(caller.answers.count(None) for caller in callers),
        mixed=sum(caller.mixed(expected) for caller in callers),
    )


def swap_in_new_process(first: Path, second: Path, load: Load, expected: Answers) -> Swaps:
    """Return what callers saw of one swap in a process that has not imported its engine yet."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as child:
        return child.submit(swap_under_load, first, [second], load, expected).result()


def same(output: NDArray[np.float32], other: NDArray[np.float32] | None) -> bool:
    """Return whether two answers may come from the same bundle."""
    return other is not None and bool(np.allclose(output, other, rtol=0, atol=TOLERANCE))


class _Caller(threading.Thread):
    """Asks without pause until told to stop, and remembers every answer.

    Attributes:
        answers: digest of the bundle and output; None for a call that raised.
    """

    def __init__(self, runtime: Runtime, feed: Feed, stop: threading.Event) -> None:
        super().__init__()
        self.answers: list[tuple[str, NDArray[np.float32]] | None] = []
        self._finished_ns: list[int] = []
        self._durations: list[Durations] = []
        self._runtime, self._feed, self._stopping = runtime, feed, stop

    def run(self) -> None:
        while not self._stopping.is_set():
            self._durations.append(time_block(self._ask, repeat(self._feed), CHUNK_CALLS))

    def times(self) -> tuple[Durations, Durations]:
        """Return when each call started and when it finished, in ns."""
        finished_ns = np.array(self._finished_ns, np.int64)
        return finished_ns - np.concatenate(self._durations), finished_ns

    def mixed(self, expected: Answers) -> int:
        """Return how many answers are not those of the bundle they name."""
        given = [answer for answer in self.answers if answer is not None]
        return sum(not same(output, expected.get(bundle)) for bundle, output in given)

    def _ask(self, feed: Feed) -> None:
        try:
            result = self._runtime.infer(feed)
        except Exception:  # noqa: BLE001 (whatever it is, the caller has no answer)
            self.answers.append(None)
        else:
            self.answers.append((result.bundle, result.outputs["y"]))
        self._finished_ns.append(perf_counter_ns())


@contextmanager
def _asking(runtime: Runtime, load: Load) -> Iterator[list[_Caller]]:
    stop = threading.Event()
    callers = [_Caller(runtime, load.feed, stop) for _ in range(load.callers)]
    for caller in callers:
        caller.start()
    try:
        yield callers
    finally:
        stop.set()
        for caller in callers:
            caller.join()
