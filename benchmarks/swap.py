# SPDX-License-Identifier: Apache-2.0
"""How much slower answers are while a bundle is swapped, and whether any is lost or mixed.

Callers ask without pause, as many as there are processors, or one fewer; meanwhile the
runtime swaps to another version of a model of a million parameters and back, after half a
second of steady state each time, with the engine in process and in a child. The window of a
swap is the whole call of `Runtime.swap`: opening, loading, verifying and warming beside the
load, the flip, the drain and the retirement. The last case swaps to an engine that the
process has not used yet: its library is imported within the window. That happens once a
process, so each swap of this case has a process of its own.

Dropped is a call that raised. Mixed is an answer other than the one that the
bundle named in its result gives when it serves alone.

Expected: two callers keep both processors of a small machine busy, and loading
the new model needs one of them: 1.5 to 2 times the 99th percentile of the
steady state. An import holds the interpreter's lock, and every call asks for
it twice: more than that. Nothing dropped, nothing mixed. With a processor to spare, what
loads meets callers at that lock alone: 1.3, and 1.1 where it does so in a child.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import cycle, islice, product
from operator import add
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.bundles import ONNXRUNTIME, OPENVINO, compile_bundle, write_model
from benchmarks.estimates import percentile_ratio
from benchmarks.figure import Figure, figure_from_count, figure_from_estimate
from benchmarks.networks import rows
from benchmarks.swapping import (
    Answers,
    Feed,
    Load,
    Swaps,
    same,
    swap_in_new_process,
    swap_under_load,
)
from insight_edge.errors import MeasurementError
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.isolation import Isolation
from insight_edge.runtime.processor import usable_threads

NAME = "swap"
SWAPS = 40
PROCESSES = 15
SPARE_BAR, SATURATED_BAR = 1.2, 1.5
FLIP_BAR_MS = 1.0


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in.

    Raises:
        MeasurementError: two versions give the same answer, so mixing could not be seen.
    """
    tell("swap: compiling two versions")
    models = [write_model("image", place, seed) for seed in (0, 1)]
    first, second = (compile_bundle(model, ONNXRUNTIME).bundle for model in models)
    feed = {"x": rows("image", 1)}
    expected = _answers([first, second], feed)
    following = list(islice(cycle([second, first]), SWAPS))
    for callers, isolation in product(_crowds(), (None, Isolation())):
        where = "in process" if isolation is None else "in a child"
        tell(f"swap: {SWAPS} swaps under load of {callers}, engine {where}")
        load = Load(feed=feed, callers=callers, isolation=isolation)
        swaps = swap_under_load(first, following, load, expected)
        yield from _figures(swaps, f"{SWAPS} swaps, {callers} callers, {where}", _bar(callers))
    yield from _first_swaps(first, compile_bundle(models[1], OPENVINO).bundle, feed, tell)


def _first_swaps(
    first: Path, other: Path, feed: Feed, tell: Callable[[str], None]
) -> Iterator[Figure]:
    expected = _answers([first, other], feed)
    load = Load(feed=feed, callers=usable_threads())
    found = []
    for number in range(PROCESSES):
        tell(f"swap: to another engine, process {number + 1} of {PROCESSES}")
        found.append(swap_in_new_process(first, other, load, expected))
    case = f"{PROCESSES} first swaps to another engine, {load.callers} callers"
    yield from _figures(reduce(add, found), case, SATURATED_BAR)


def _crowds() -> list[int]:
    """Return how many callers leave a processor free, and how many none."""
    processors = usable_threads()
    return [processors] if processors == 1 else [processors - 1, processors]


def _bar(callers: int) -> float:
    return SPARE_BAR if callers < usable_threads() else SATURATED_BAR


def _figures(swaps: Swaps, case: str, bar: float) -> Iterator[Figure]:
    yield figure_from_estimate(
        percentile_ratio(swaps.during, swaps.before, 99),
        name=NAME,
        case=case,
        compared=("p99 during a swap", "p99 before it"),
        rounds=len(swaps.during),
        bar=bar,
        note=f"{_p99_ms(swaps.during):.2f} against {_p99_ms(swaps.before):.2f} ms; "
        f"p50 {_p50_ms(swaps.during):.2f} against {_p50_ms(swaps.before):.2f}; "
        f"a swap takes {np.median(swaps.swap_ms):.0f} ms",
    )
    flip_ms = max(swaps.flip_ms)
    yield figure_from_estimate(
        (flip_ms, flip_ms, flip_ms),
        name=NAME,
        case=case,
        compared=("longest flip", "nothing"),
        unit="ms",
        rounds=len(swaps.flip_ms),
        bar=FLIP_BAR_MS,
    )
    for what, count in (("calls dropped", swaps.dropped), ("answers mixed", swaps.mixed)):
        yield figure_from_count(count, name=NAME, case=case, counted=what, total=swaps.asked)


def _p99_ms(blocks: Sequence[NDArray[np.int64]]) -> float:
    return float(np.percentile(np.concatenate(blocks), 99)) / 1e6


def _p50_ms(blocks: Sequence[NDArray[np.int64]]) -> float:
    return float(np.median(np.concatenate(blocks))) / 1e6


def _answers(bundles: Sequence[Path], feed: Feed) -> Answers:
    """Return what each bundle answers when it serves alone."""
    found: dict[str, NDArray[np.float32]] = {}
    for path in bundles:
        with Runtime.open(path, allow_unsigned=True, threads=1) as runtime:
            result = runtime.infer(feed)
        if any(same(result.outputs["y"], other) for other in found.values()):
            raise MeasurementError("both versions give the same answer: mixing could not be seen")
        found[result.bundle] = result.outputs["y"]
    return found
