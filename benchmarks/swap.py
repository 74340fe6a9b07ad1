# SPDX-License-Identifier: Apache-2.0
"""How much slower answers are while a bundle is swapped, and whether any is lost or mixed.

Two callers ask without pause; meanwhile the runtime swaps to another version of
a model of a million parameters and back, after half a second of steady state
each time. The window of a swap is the whole call of `Runtime.swap`: opening,
loading, verifying and warming beside the load, the flip, the drain and the
retirement. The second case swaps to an engine that the process has not used
yet: its library is imported within the window. That happens once a process, so
each swap of this case has a process of its own.

Dropped is a call that raised. Mixed is an answer other than the one that the
bundle named in its result gives when it serves alone.

Expected: two callers keep both processors of a small machine busy, and loading
the new model needs one of them: 1.5 to 2 times the 99th percentile of the
steady state. An import holds the interpreter's lock, and every call asks for
it twice: more than that. Nothing dropped, nothing mixed.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import cycle, islice
from operator import add
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.bundles import ONNXRUNTIME, OPENVINO, compile_bundle, write_model
from benchmarks.estimates import percentile_ratio
from benchmarks.figure import Figure, figure_from_count, figure_from_estimate
from benchmarks.networks import rows
from benchmarks.swapping import (
    CALLERS,
    Answers,
    Feed,
    Swaps,
    same,
    swap_in_new_process,
    swap_under_load,
)
from insight_edge.errors import MeasurementError
from insight_edge.runtime.infer import Runtime

NAME = "swap"
SWAPS = 40
PROCESSES = 15
STEADY_S = 0.5
BAR = 2.0


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in.

    Raises:
        MeasurementError: two versions give the same answer, so mixing could not be seen.
    """
    tell("swap: compiling two versions")
    models = [write_model("image", place, seed) for seed in (0, 1)]
    first, second = (compile_bundle(model, ONNXRUNTIME).bundle for model in models)
    other = compile_bundle(models[1], OPENVINO).bundle
    feed = {"x": rows("image", 1)}
    tell(f"swap: {SWAPS} swaps under load")
    expected = _answers([first, second], feed)
    following = list(islice(cycle([second, first]), SWAPS))
    swaps = swap_under_load(first, following, feed, expected, steady_s=STEADY_S)
    yield from _figures(swaps, f"{SWAPS} swaps, {CALLERS} callers")
    expected = _answers([first, other], feed)
    found = []
    for number in range(PROCESSES):
        tell(f"swap: to another engine, process {number + 1} of {PROCESSES}")
        found.append(swap_in_new_process(first, other, feed, expected, steady_s=STEADY_S))
    case = f"{PROCESSES} first swaps to another engine, {CALLERS} callers"
    yield from _figures(reduce(add, found), case)


def _figures(swaps: Swaps, case: str) -> Iterator[Figure]:
    yield figure_from_estimate(
        percentile_ratio(swaps.during, swaps.before, 99),
        name=NAME,
        case=case,
        compared=("p99 during a swap", "p99 before it"),
        rounds=len(swaps.during),
        bar=BAR,
        note=f"{_p99_ms(swaps.during):.2f} against {_p99_ms(swaps.before):.2f} ms; "
        f"a swap takes {np.median(swaps.swap_ms):.0f} ms, "
        f"its flip at most {max(swaps.flip_ms):.3f} ms",
    )
    for what, count in (("calls dropped", swaps.dropped), ("answers mixed", swaps.mixed)):
        yield figure_from_count(count, name=NAME, case=case, counted=what, total=swaps.asked)


def _p99_ms(blocks: Sequence[NDArray[np.int64]]) -> float:
    return float(np.percentile(np.concatenate(blocks), 99)) / 1e6


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
