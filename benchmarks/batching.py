# SPDX-License-Identifier: Apache-2.0
"""What `Batched` brings eight callers that ask without pause, against `Runtime.infer`.

The figure is the ratio of mean latencies: callers without pause get through one over the mean
each, so below 1 is more rows a second. Both ask the same runtime, its engine of one thread, in
turn in one process; blocks are paired.

Expected on two processors: the network that streams 3.6 MB of weights for each row 0.6 to 0.9,
since eight rows share them but one thread computes where two did; the one of 0.02 ms 3 to 8, as
handing an answer from thread to thread takes longer than the engine does.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

from benchmarks.bundles import ONNXRUNTIME, compile_bundle, write_model
from benchmarks.callers import Callers
from benchmarks.estimates import mean_ratio
from benchmarks.figure import Figure, figure_from_estimate
from benchmarks.networks import Kind, rows
from insight_edge.bench.interleave import interleave
from insight_edge.bench.measure import block_iterations, warm_up
from insight_edge.runtime.batching import Batched
from insight_edge.runtime.infer import Runtime

NAME = "batching"
KINDS: tuple[Kind, ...] = ("dense", "camera")
CALLERS = 8
ROUNDS = 20
BATCHED, ALONE = "Batched.infer", "Runtime.infer"


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in."""
    for kind in KINDS:
        tell(f"batching: compiling the {kind} model")
        bundle = compile_bundle(write_model(kind, place), ONNXRUNTIME).bundle
        tell(f"batching: {kind} model, {CALLERS} callers")
        yield _figure(kind, bundle)


def _figure(kind: Kind, bundle: Path) -> Figure:
    feeds = [{"x": row[None]} for row in rows(kind, 16)]
    with ExitStack() as opened:
        runtime = opened.enter_context(Runtime.open(bundle, allow_unsigned=True, threads=1))
        batched = Batched(runtime, max_calls=CALLERS, max_wait_ms=1)
        iterations = block_iterations(warm_up(runtime.infer, cycle(feeds)))
        timed = {
            name: opened.enter_context(Callers(call, feeds, CALLERS))
            for name, call in ((BATCHED, batched.infer), (ALONE, runtime.infer))
        }
        blocks = interleave(
            {name: (each, iterations) for name, each in timed.items()}, rounds=ROUNDS, seed=0
        )
    return figure_from_estimate(
        mean_ratio(blocks[BATCHED], blocks[ALONE]),
        name=NAME,
        case=f"{kind} model, {CALLERS} callers",
        compared=(f"{BATCHED} mean", ALONE),
        rounds=ROUNDS,
    )
