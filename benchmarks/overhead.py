# SPDX-License-Identifier: Apache-2.0
"""What `Runtime.infer` costs on top of the engine, with 64 features observed of every row.

The bare engine call is `Session.infer` of the session that the same bundle
loads to; the raw one is ONNX Runtime's own `run`, in a session of one thread.
All three are timed in turn in one process, by 1 and by 4 callers. Between
blocks the runtime's window is closed, off the clock, so that counting what one
block left does not disturb the next.

Where a session's weights happen to lie in memory is worth a percent of a 2 ms
model, as much as is looked for. So all three are loaded many times over, in an
order drawn anew, and what is resampled is the loads.

Tails need blocks that flushes fall into: they have their own, of half a second.

Expected, since chunks are large and what is done with one gives the interpreter up:
+2 µs on the short model by one caller and nothing to be seen on the long one; +25 µs
at the short model's 99th percentile, since the processor that counts shares caches and
memory with the one that calls, +120 µs at the 99.9th. By four callers on two processors
the scheduler's time slices, in milliseconds, hide all of it.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bundles import ONNXRUNTIME, compile_bundle, write_model
from benchmarks.callers import Callers
from benchmarks.estimates import Blocks, difference_interval, percentile_difference
from benchmarks.figure import Figure, Unit, figure_from_estimate
from benchmarks.networks import Kind, rows
from insight_edge.bench.interleave import Block, interleave
from insight_edge.bench.measure import block_iterations, warm_up
from insight_edge.bundle.open import open_bundle
from insight_edge.errors import MeasurementError
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.loading import load_session
from insight_edge.stats.interval import Estimate, ratio_interval

NAME = "overhead"
CALLERS = (1, 4)
LOADS = 20
ROUNDS = 4
"""Of blocks for the medians, in each load; there is one for the tails."""

TAIL_BLOCK_S = 0.5
"""Longer than the 0.2 s after which rows are counted at the latest."""

MOST = 100.0
TAILS: Mapping[float, float | None] = {99.0: 20.0, 99.9: 200.0, MOST: None}
"""Percentiles of the tail, and by how many µs the runtime's may be above the engine's."""

QUERIES = 16
RUNTIME, ENGINE, RAW = "Runtime.infer", "Session.infer", "onnxruntime run"

Feed = Mapping[str, np.ndarray[Any, Any]]
Call = Callable[[Feed], object]
Taken = dict[str, list[Block]]
"""By what was called, a block of latencies for each load."""


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """How the medians of a model are compared, and the most the runtime may add."""

    unit: Unit
    compare: Callable[[Blocks, Blocks], Estimate]
    bar: float


def _added_us(measured: Blocks, peer: Blocks) -> Estimate:
    value, low, high = difference_interval(measured, peer)
    return value / 1e3, low / 1e3, high / 1e3


SCALES: Mapping[Kind, _Scale] = {
    "short": _Scale(unit="us", compare=_added_us, bar=5.0),
    "long": _Scale(unit="x", compare=ratio_interval, bar=1.01),
}


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in.

    Raises:
        MeasurementError: the runtime did not observe what it answered.
    """
    for kind, scale in SCALES.items():
        tell(f"overhead: compiling the {kind} model")
        bundle = compile_bundle(write_model(kind, place), ONNXRUNTIME).bundle
        x = rows(kind, QUERIES)
        feeds = [{"x": x[index : index + 1]} for index in range(QUERIES)]
        for callers in CALLERS:
            case = f"{kind} model, {callers} caller{'s' * (callers > 1)}"
            taken = _Taken()
            for index in range(LOADS):
                tell(f"overhead: {case}, load {index + 1} of {LOADS}")
                taken.add_load(bundle, feeds, callers, seed=index)
            yield from _median_figures(taken, case, scale)
            yield from _tail_figures(taken, case)


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What is timed, and what is done after a block of it, off the clock."""

    call: Call
    after: Callable[[], None] = lambda: None


class _Taken:
    """Latencies of one case, a block for each load, and what the runtime counted of its calls."""

    def __init__(self) -> None:
        self.medians: Taken = {}
        self.tails: Taken = {}
        self._asked = self._observed = 0

    @property
    def observed_share(self) -> float:
        """Of the rows asked, how many the statistics have seen.

        Raises:
            MeasurementError: none.
        """
        if not self._observed:
            raise MeasurementError("the runtime observed no row: what it costs was not measured")
        return self._observed / self._asked

    def add_load(self, bundle: Path, feeds: Sequence[Feed], callers: int, *, seed: int) -> None:
        """Load all subjects anew and time them in turn."""
        with ExitStack() as opened:
            subjects = self._load(bundle, opened, seed)
            call_s = max(warm_up(each.call, cycle(feeds)) for each in subjects.values())
            timed = {
                name: opened.enter_context(Callers(each.call, feeds, callers, each.after))
                for name, each in subjects.items()
            }
            for taken, iterations, rounds in (
                (self.medians, block_iterations(call_s), ROUNDS),
                (self.tails, round(TAIL_BLOCK_S / call_s / callers), 1),
            ):
                blocks = interleave(
                    {name: (each, iterations) for name, each in timed.items()},
                    rounds=rounds,
                    seed=seed,
                )
                for name, own in blocks.items():
                    taken.setdefault(name, []).append(np.concatenate(own))

    def _load(self, bundle: Path, opened: ExitStack, seed: int) -> dict[str, _Subject]:
        openings = [(RUNTIME, self._runtime), (ENGINE, _engine), (RAW, _raw)]
        random.Random(seed).shuffle(openings)  # noqa: S311 (an order, not a secret)
        return {name: opened.enter_context(opening(bundle)) for name, opening in openings}

    @contextmanager
    def _runtime(self, path: Path) -> Iterator[_Subject]:
        with Runtime.open(path, allow_unsigned=True, threads=1) as runtime:
            yield _Subject(call=runtime.infer, after=partial(self._close_window, runtime))

    def _close_window(self, runtime: Runtime) -> None:
        """Have everything counted that was asked, and remember how much of it was seen."""
        while (report := runtime.take_report()) is not None:
            self._asked += report.counts.asked
            self._observed += report.counts.observed


@contextmanager
def _engine(path: Path) -> Iterator[_Subject]:
    bundle = open_bundle(path, allow_unsigned=True)
    session = load_session(bundle, bundle.variant(), threads=1)
    try:
        yield _Subject(call=session.infer)
    finally:
        session.close()


@contextmanager
def _raw(path: Path) -> Iterator[_Subject]:
    import onnxruntime

    bundle = open_bundle(path, allow_unsigned=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(bundle.file(bundle.variant().entry), options)
    yield _Subject(call=partial(session.run, None))


def _median_figures(taken: _Taken, case: str, scale: _Scale) -> Iterator[Figure]:
    for peer, bar in ((ENGINE, scale.bar), (RAW, None)):
        yield figure_from_estimate(
            scale.compare(taken.medians[RUNTIME], taken.medians[peer]),
            name=NAME,
            case=case,
            compared=(f"{RUNTIME} p50", peer),
            unit=scale.unit,
            rounds=LOADS,
            bar=bar,
            note=_against(taken.medians, peer, 50),
        )


def _tail_figures(taken: _Taken, case: str) -> Iterator[Figure]:
    for percent, bar in TAILS.items():
        value, low, high = (
            ns / 1e3
            for ns in percentile_difference(taken.tails[RUNTIME], taken.tails[ENGINE], percent)
        )
        against = _against(taken.tails, ENGINE, percent)
        yield figure_from_estimate(
            (value, low, high),
            name=NAME,
            case=case,
            compared=(f"{RUNTIME} p{percent:g}" if percent < MOST else f"{RUNTIME} max", ENGINE),
            unit="us",
            rounds=LOADS,
            bar=bar,
            note=f"{against}; {taken.observed_share:.1%} of rows observed",
        )


def _against(taken: Taken, peer: str, percent: float) -> str:
    own_us, peer_us = (
        np.percentile(np.concatenate(taken[name]), percent) / 1e3 for name in (RUNTIME, peer)
    )
    return f"{own_us:.1f} against {peer_us:.1f} µs"
