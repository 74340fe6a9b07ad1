# SPDX-License-Identifier: Apache-2.0
"""What an engine in a child costs a call and a load, and what 1,000 swaps of it leave behind.

The call is `Session.infer`, of the same bundle in this process and in a child, timed in turn;
both are loaded several times over, and what is resampled is the loads. Swaps go from one bundle
to another and back in a process of their own, which makes a call after each; growth is of its
resident memory, the middle of the looks after the last fifty swaps over that of fifty after the
first hundred. The same with the engine in process stands beside it, without a bar.

Expected, before any of it was tried: 60 us on a call, for two wakings on another processor, and
as much on a longer model, whose arrays are larger by a few copies; three times that at the 99th
percentile. 250 ms on a load. No growth: the parent keeps nothing of a child.
"""

import gc
import multiprocessing
import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from itertools import cycle, islice, repeat
from pathlib import Path
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from benchmarks.bundles import ONNXRUNTIME, compile_bundle, write_model
from benchmarks.callers import Callers
from benchmarks.estimates import difference_interval, percentile_difference
from benchmarks.figure import Figure, Unit, figure_from_estimate
from benchmarks.networks import Kind, rows
from insight_edge.bench.interleave import interleave
from insight_edge.bench.measure import block_iterations, warm_up
from insight_edge.bundle.open import open_bundle
from insight_edge.runtime.child.session import load_isolated
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.isolation import Isolation
from insight_edge.runtime.loading import load_session
from insight_edge.runtime.resident import resident_bytes
from insight_edge.runtime.seam import Session
from insight_edge.stats.interval import Estimate

NAME = "child"
KINDS: tuple[Kind, ...] = ("short", "image")
HERE, CHILD = "in process", "in a child"
LOADS = 8
ROUNDS = 20
SWAPS, SETTLED, LOOKS = 1000, 100, 50
BAR = 1.01
TAKEN_ROWS = 256

Feed = dict[str, NDArray[np.float32]]
Taken = dict[str, list[NDArray[np.int64]]]
"""By where the engine was, a block for each load."""


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in."""
    for kind in KINDS:
        tell(f"child: compiling the {kind} model")
        bundle = compile_bundle(write_model(kind, place), ONNXRUNTIME).bundle
        yield from _calls(kind, bundle, tell)
    tell("child: compiling two versions of the short model")
    models = [write_model("short", place, seed) for seed in (0, 1)]
    bundles = [compile_bundle(model, ONNXRUNTIME).bundle for model in models]
    for where, isolation, bar in ((CHILD, Isolation(), BAR), (HERE, None, None)):
        tell(f"child: {SWAPS} swaps {where}")
        yield _growth(_looks_in_new_process(bundles, isolation), where, bar)


def _calls(kind: Kind, path: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    calls: Taken = {HERE: [], CHILD: []}
    loads: Taken = {HERE: [], CHILD: []}
    for index in range(LOADS):
        tell(f"child: {kind} model, load {index + 1} of {LOADS}")
        _take_load(path, {"x": rows(kind, 1)}, calls, loads, seed=index)
    case = f"{kind} model, 1 caller"
    p50 = difference_interval(calls[CHILD], calls[HERE])
    p99 = percentile_difference(calls[CHILD], calls[HERE], 99)
    yield _added(p50, case, "Session.infer p50", "us", _against(calls, 50))
    yield _added(p99, case, "Session.infer p99", "us", _against(calls, 99))
    yield _added(difference_interval(loads[CHILD], loads[HERE]), case, "load p50", "ms", "")


def _take_load(path: Path, feed: Feed, calls: Taken, loads: Taken, *, seed: int) -> None:
    """Load both anew, in an order drawn anew, and time them in turn."""
    order = [HERE, CHILD]
    random.Random(seed).shuffle(order)  # noqa: S311 (an order, not a secret)
    with ExitStack() as opened:
        timed = {}
        for where in order:
            began = perf_counter_ns()
            session = _session(path, where)
            loads[where].append(np.array([perf_counter_ns() - began], np.int64))
            opened.callback(session.close)
            call_s = warm_up(session.infer, repeat(feed))
            caller = opened.enter_context(Callers(session.infer, [feed], 1))
            timed[where] = caller, block_iterations(call_s)
        for where, blocks in interleave(timed, rounds=ROUNDS, seed=seed).items():
            calls[where].append(np.concatenate(blocks))


def _session(path: Path, where: str) -> Session:
    bundle = open_bundle(path, allow_unsigned=True)
    if where == HERE:
        return load_session(bundle, bundle.variant(), threads=1)
    return load_isolated(bundle, bundle.variant(), Isolation(), threads=1)


def _added(estimate: Estimate, case: str, what: str, unit: Unit, note: str) -> Figure:
    value, low, high = (ns / {"us": 1e3, "ms": 1e6}[unit] for ns in estimate)
    return figure_from_estimate(
        (value, low, high),
        name=NAME,
        case=case,
        compared=(f"{what} {CHILD}", HERE),
        unit=unit,
        rounds=LOADS,
        note=note,
    )


def _against(taken: Taken, percent: float) -> str:
    child_us, here_us = (
        np.percentile(np.concatenate(taken[where]), percent) / 1e3 for where in (CHILD, HERE)
    )
    return f"{child_us:.0f} against {here_us:.0f} µs"


def _looks_in_new_process(bundles: Sequence[Path], isolation: Isolation | None) -> list[int]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as child:
        return child.submit(swap_and_look, bundles, isolation, SWAPS).result()


def swap_and_look(bundles: Sequence[Path], isolation: Isolation | None, swaps: int) -> list[int]:
    """Return the resident bytes of this process after each of some swaps."""
    feed, looks = {"x": rows("short", 1)}, []
    with Runtime.open(bundles[0], allow_unsigned=True, threads=1, isolation=isolation) as runtime:
        for bundle in islice(cycle([*bundles[1:], bundles[0]]), swaps):
            runtime.swap(bundle)
            runtime.infer(feed)
            _take_as_an_agent(runtime)
            gc.collect()
            looks.append(resident_bytes(os.getpid()))
    return looks


def _take_as_an_agent(runtime: Runtime) -> None:
    """Take what waits for an agent, as one does: until then it is kept, up to a bound."""
    doors = runtime._doors  # noqa: SLF001 (an agent's, and there is none here)
    while rows_taken := doors.oldest_predictions(TAKEN_ROWS):
        doors.confirm_predictions(rows_taken)
    while runtime.take_report() is not None:
        pass


def _growth(looks: list[int], where: str, bar: float | None) -> Figure:
    first, last = np.array(looks[SETTLED : SETTLED + LOOKS]), np.array(looks[-LOOKS:])
    before = float(np.median(first))
    return figure_from_estimate(
        (float(np.median(last)) / before, int(last.min()) / before, int(last.max()) / before),
        name=NAME,
        case=f"{len(looks)} swaps, engine {where}",
        compared=("resident memory after all swaps", f"after {SETTLED}"),
        rounds=LOOKS,
        bar=bar,
        note=f"{looks[0] / 1e6:.1f} MB after the first, {before / 1e6:.1f} after {SETTLED}, "
        f"{looks[-1] / 1e6:.1f} after the last",
    )
