# SPDX-License-Identifier: Apache-2.0
"""How much slower answers are while a bundle is swapped, and whether any is lost or mixed.

Two callers ask without pause; meanwhile the runtime swaps to another version of
a model of a million parameters and back, after half a second of steady state
each time. The window of a swap is the whole call of `Runtime.swap`: opening,
loading, verifying and warming beside the load, the flip, the drain and the
retirement.

Dropped is a call that raised. Mixed is an answer other than the one that the
bundle named in its result gives when it serves alone.

Expected: two callers keep both processors of a small machine busy, and loading
the new model needs one of them: 1.5 to 2 times the 99th percentile of the
steady state. Nothing dropped, nothing mixed.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bundles import ONNXRUNTIME, compile_bundle, write_model
from benchmarks.estimates import percentile_ratio
from benchmarks.figure import Figure, figure_from_count, figure_from_estimate
from benchmarks.networks import rows
from benchmarks.windows import Window, split
from insight_edge.bench.measure import time_block, warm_up
from insight_edge.documents.host import SwapRecord
from insight_edge.errors import MeasurementError
from insight_edge.runtime.infer import Runtime

NAME = "swap"
SWAPS = 40
CALLERS = 2
STEADY_S = 0.5
CHUNK_CALLS = 20
"""Calls between two looks at whether the load is over."""

BAR = 2.0
TOLERANCE = 1e-4
"""Of an answer by another thread; the two versions differ by more."""

Feed = Mapping[str, NDArray[Any]]
Answers = Mapping[str, NDArray[np.float32]]
"""By digest of the bundle."""


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in.

    Raises:
        MeasurementError: the two versions give the same answer, so mixing could not be seen.
    """
    tell("swap: compiling two versions")
    models = [write_model("image", place, seed) for seed in (0, 1)]
    bundles = [compile_bundle(model, ONNXRUNTIME).bundle for model in models]
    feed = {"x": rows("image", 1)}
    expected = _answers(bundles, feed)
    tell(f"swap: {SWAPS} swaps under load")
    callers, swaps = _swap_under_load(bundles, feed)
    asked = sum(len(caller.answers) for caller in callers)
    dropped = sum(caller.answers.count(None) for caller in callers)
    mixed = sum(caller.mixed(expected) for caller in callers)
    case = f"{SWAPS} swaps, {CALLERS} callers"
    yield _slowdown(callers, swaps, case)
    for what, count in (("calls dropped", dropped), ("answers mixed", mixed)):
        yield figure_from_count(count, name=NAME, case=case, counted=what, total=asked)


class _Caller(threading.Thread):
    """Asks without pause until told to stop, and remembers every answer.

    Attributes:
        answers: digest of the bundle and output; None for a call that raised.
    """

    def __init__(self, runtime: Runtime, feed: Feed, stop: threading.Event) -> None:
        super().__init__()
        self.answers: list[tuple[str, NDArray[np.float32]] | None] = []
        self._finished_ns: list[int] = []
        self._durations: list[NDArray[np.int64]] = []
        self._runtime, self._feed, self._stopping = runtime, feed, stop

    def run(self) -> None:
        while not self._stopping.is_set():
            self._durations.append(time_block(self._ask, repeat(self._feed), CHUNK_CALLS))

    def times(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return when each call started and when it finished, in ns."""
        finished_ns = np.array(self._finished_ns, np.int64)
        return finished_ns - np.concatenate(self._durations), finished_ns

    def mixed(self, expected: Answers) -> int:
        """Return how many answers are not those of the bundle they name."""
        given = [answer for answer in self.answers if answer is not None]
        return sum(not _same(output, expected.get(bundle)) for bundle, output in given)

    def _ask(self, feed: Feed) -> None:
        try:
            result = self._runtime.infer(feed)
        except Exception:  # noqa: BLE001 (whatever it is, the caller has no answer)
            self.answers.append(None)
        else:
            self.answers.append((result.bundle, result.outputs["y"]))
        self._finished_ns.append(perf_counter_ns())


@contextmanager
def _load(runtime: Runtime, feed: Feed) -> Iterator[list[_Caller]]:
    stop = threading.Event()
    callers = [_Caller(runtime, feed, stop) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        yield callers
    finally:
        stop.set()
        for caller in callers:
            caller.join()


def _swap_under_load(
    bundles: Sequence[Path], feed: Feed
) -> tuple[list[_Caller], list[tuple[Window, SwapRecord]]]:
    swaps = []
    pause = threading.Event()
    with Runtime.open(bundles[0], allow_unsigned=True, threads=1) as runtime:
        warm_up(runtime.infer, repeat(feed))
        with _load(runtime, feed) as callers:
            for index in range(SWAPS):
                pause.wait(STEADY_S)
                opened_ns = perf_counter_ns()
                record = runtime.swap(bundles[(index + 1) % len(bundles)])
                swaps.append((Window(opened_ns, perf_counter_ns()), record))
    return callers, swaps


def _slowdown(
    callers: Sequence[_Caller], swaps: Sequence[tuple[Window, SwapRecord]], case: str
) -> Figure:
    started_ns, finished_ns = map(np.concatenate, zip(*(c.times() for c in callers), strict=True))
    windows = [window for window, _ in swaps]
    during, before = split(started_ns, finished_ns, windows)
    typical_ms = np.median([window.closed_ns - window.opened_ns for window in windows]) / 1e6
    flip_ms = max(record.flip_ms for _, record in swaps)
    return figure_from_estimate(
        percentile_ratio(during, before, 99),
        name=NAME,
        case=case,
        compared=("p99 during a swap", "p99 before it"),
        rounds=len(swaps),
        bar=BAR,
        note=f"{_p99_ms(during):.2f} against {_p99_ms(before):.2f} ms; "
        f"a swap takes {typical_ms:.0f} ms, its flip at most {flip_ms:.3f} ms",
    )


def _p99_ms(blocks: Sequence[NDArray[np.int64]]) -> float:
    return float(np.percentile(np.concatenate(blocks), 99)) / 1e6


def _answers(bundles: Sequence[Path], feed: Feed) -> Answers:
    """Return what each bundle answers when it serves alone."""
    found: dict[str, NDArray[np.float32]] = {}
    for path in bundles:
        with Runtime.open(path, allow_unsigned=True, threads=1) as runtime:
            result = runtime.infer(feed)
        if any(_same(result.outputs["y"], other) for other in found.values()):
            raise MeasurementError("both versions give the same answer: mixing could not be seen")
        found[result.bundle] = result.outputs["y"]
    return found


def _same(output: NDArray[np.float32], other: NDArray[np.float32] | None) -> bool:
    return other is not None and bool(np.allclose(output, other, rtol=0, atol=TOLERANCE))
