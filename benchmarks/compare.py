# SPDX-License-Identifier: Apache-2.0
"""Whether `insight-edge compare` says what is so, of like things and of planted slowdowns.

A bundle is started four times in each launch and all six pairs of the four are compared, over and
over, each launch in processes of its own: a pair may be called different in 5 % of comparisons at
most, and NOISY in a fifth. Then with bundles of the same network that are a little deeper, so
that they do some per cent more work; how much slower they are is estimated from all launches
together, and how many comparisons find it is the power. As many comparisons run at once as there
are processors, each pinned to its own: they disturb one another as programs do.

Like things are compared by 7 launches, where the verdict comes closest to the stated chance
(4.7 %); slowdowns by 11, which is what the verb does.

Expected, on two processors that others use too: like things called different in 2 to 5 % and
NOISY in less than a tenth; 3 % found by half of the comparisons, 5 % by four of five, 10 % by all.
"""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks.bundles import ONNXRUNTIME, SAMPLE_ROWS, compile_bundle
from benchmarks.figure import Figure, Verdict
from benchmarks.networks import OPSET
from insight_edge.bench.compared import values_of, what_disturbed
from insight_edge.bench.comparison import ALPHA, Terms, Values, compare_launches
from insight_edge.bench.scenarios.scenario import SINGLE_STREAM
from insight_edge.bench.subject import SubjectProcess
from insight_edge.bench.timing import Scheme, time_launches
from insight_edge.documents.evidence import Comparison, Interval
from insight_edge.stats.interval import Estimate, wilson
from insight_edge.stats.signed_rank import signed_rank_interval

NAME, QUICK = "compare", "compare-quick"
DEPTH, WIDTH = 200, 64
"""Products of a vector with one matrix, one after the other: about 0.3 ms."""

DEEPER = {3: 7, 5: 11, 10: 22}
"""By per cent that they take longer, about, products more: a call costs something besides."""

ALIKE = 4
"""Processes of one bundle in a launch."""

SAME_LAUNCHES, LAUNCHES, ROUNDS = 7, 11, 5
MOST_NOISY = 0.2
MOST_MISSED = {5: 0.2, 10: 0.05}
"""Share of planted slowdowns that may be missed; 3 % is for a machine without others, and shown."""

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Counts:
    """How many sets of launches are made: of like things, and of all slowdowns."""

    same: int
    slowed: int


FULL, FEW = _Counts(same=34, slowed=12), _Counts(same=7, slowed=4)


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """The values of one set of launches, by side and launch, and what disturbed it."""

    sides: Sequence[Sequence[Values]]
    disturbed: tuple[str, ...]


def take(place: Path, tell: Tell, counts: _Counts = FULL) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in.

    Raises:
        InsightEdgeError: a bundle could not be made, or a process died.
    """
    tell("compare: compiling")
    bundles = [_bundle(place, more) for more in (0, *DEEPER.values())]
    same = _compare(bundles[:1] * ALIKE, counts.same, SAME_LAUNCHES, tell)
    pairs = list(combinations(range(ALIKE), 2))
    yield from _of_like_things([_pair(one, *pair) for one in same for pair in pairs])
    slowed = _compare(bundles, counts.slowed, LAUNCHES, tell)
    for at, more in enumerate(DEEPER, 1):
        yield _of_a_slowdown(more, at, slowed)


take_few = partial(take, counts=FEW)


def _of_like_things(found: Sequence[Comparison]) -> Iterator[Figure]:
    called = sum(one.verdict in {"faster", "slower"} for one in found)
    noisy = sum(one.verdict == "NOISY" for one in found)
    width = np.median([one.ratio.high - one.ratio.low for one in found])
    disturbed = np.mean([bool(one.reasons) for one in found])
    note = f"interval {width:.1%} wide; {disturbed:.0%} were disturbed"
    case = f"itself, {SAME_LAUNCHES} launches"
    yield _share(case, "called different", called, len(found), bar=ALPHA, note=note, of=2)
    yield _share(case, "NOISY", noisy, len(found), bar=MOST_NOISY, of=2)


def _of_a_slowdown(more: int, at: int, slowed: Sequence[_Compared]) -> Figure:
    found = [_pair(one, 0, at) for one in slowed]
    missed = sum(one.verdict != "slower" for one in found)
    value, low, high = _pooled(slowed, at)
    told = np.median([one.ratio.value for one in found])
    wrong = sum(one.verdict == "faster" for one in found)
    note = f"it is {value:.3f} ({low:.3f} to {high:.3f}), told {told:.3f}; {wrong} called faster"
    case = f"{more} % slower, {LAUNCHES} launches"
    return _share(case, "not found", missed, len(found), bar=MOST_MISSED.get(more), note=note)


def _pooled(compared: Sequence[_Compared], at: int) -> Estimate:
    """Return the ratio of a side to the first by all launches of all comparisons."""
    ratios = [
        float(np.median(own / base))
        for one in compared
        for base, own in zip(one.sides[0], one.sides[at], strict=True)
    ]
    value, low, high = np.exp(signed_rank_interval(np.log(ratios)))
    return float(value), float(low), float(high)


def _share(
    case: str,
    measured: str,
    count: int,
    total: int,
    *,
    bar: float | None,
    note: str = "",
    of: int = 1,
) -> Figure:
    """Return the figure of a share; of six pairs of four, every second knows nothing of others."""
    low, high = wilson(round(count / of), total // of)
    return Figure(
        name=NAME,
        case=case,
        measured=measured,
        peer=f"{count} of {total}",
        unit="%",
        value=Interval(value=100 * count / total, low=100 * low, high=100 * high),
        rounds=total,
        bar=None if bar is None else 100 * bar,
        verdict=None if bar is None else _judge(count / total, low, bar),
        note=note,
    )


def _judge(share: float, low: float, bar: float) -> Verdict:
    """Return WITHIN where no more were counted than may be, OVER where chance cannot be why."""
    if share <= bar:
        return "WITHIN"
    return "OVER" if low > bar else "NOISY"


def _compare(bundles: Sequence[Path], times: int, launches: int, tell: Tell) -> list[_Compared]:
    free: SimpleQueue[int] = SimpleQueue()
    cpus = sorted(os.sched_getaffinity(0))
    for cpu in cpus:
        free.put(cpu)
    with ThreadPoolExecutor(len(cpus)) as workers:
        waiting = [workers.submit(_once, bundles, launches, free) for _ in range(times)]
        found = []
        for one in waiting:
            found.append(one.result())
            tell(f"compare: {len(found)} of {times} comparisons of {len(bundles)}")
    return found


def _once(bundles: Sequence[Path], launches: int, free: "SimpleQueue[int]") -> _Compared:
    cpu = free.get()
    try:
        starts = [partial(SubjectProcess, one, threads=1, cpus=(cpu,)) for one in bundles]
        seed = random.SystemRandom().getrandbits(32)
        scheme = Scheme(rounds=ROUNDS, least=1, threads=1, seed=seed)
        timed = time_launches(starts, scheme, launches=launches)
    finally:
        free.put(cpu)
    sides = [
        [values_of(launch[at], SINGLE_STREAM) for launch in timed] for at in range(len(bundles))
    ]
    return _Compared(sides=sides, disturbed=what_disturbed(timed))


def _pair(compared: _Compared, one: int, other: int) -> Comparison:
    sides = compared.sides[one], compared.sides[other]
    terms = Terms(rounds=ROUNDS, disturbed=compared.disturbed)
    return compare_launches(sides, ("a", "b"), terms)[0]


def _bundle(place: Path, more: int) -> Path:
    """Compile a network that is so much deeper than the others."""
    path = place / f"deeper-{more}.onnx"
    path.write_bytes(_network(DEPTH + more))
    rows = np.random.default_rng(0).standard_normal((SAMPLE_ROWS, WIDTH), np.float32)
    np.savez(path.with_suffix(".npz"), x=rows)
    return compile_bundle(path, ONNXRUNTIME).bundle


def _network(depth: int) -> bytes:
    """Return ONNX that turns a vector so many times: the same matrix, so that work alone grows."""
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((WIDTH, WIDTH)))[0]
    names = ["x", *(f"h{at}" for at in range(1, depth)), "y"]
    nodes = [helper.make_node("MatMul", [one, "w"], [to]) for one, to in pairwise(names)]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", WIDTH])
        for name in ("x", "y")
    ]
    weights = numpy_helper.from_array(turn.astype(np.float32), "w")
    graph = helper.make_graph(nodes, "turns", ends[:1], ends[1:], [weights])
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    return bytes(model.SerializeToString())
