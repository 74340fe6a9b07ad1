# SPDX-License-Identifier: Apache-2.0
"""What an engine's cache is worth: OpenVINO's load, and a start to the first answer.

In turn in one process that has imported the engine, one thread. A start is `Runtime.open` and one
call: digests, load, golden samples, three calls to warm, the answer.

Expected: 0.5 of the load for the network of a million parameters, 0.35 for the MobileNet; 0.8 of
the start, most of which is golden samples.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from benchmarks.bundles import OPENVINO, compile_bundle, write_model
from benchmarks.figure import Figure, figure_from_estimate
from benchmarks.networks import Kind, rows
from insight_edge.bundle.open import open_bundle
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.loading import load_session
from insight_edge.stats.interval import ratio_interval

NAME = "engine-cache"
KINDS: tuple[Kind, ...] = ("image", "mobile")
ROUNDS = 25

Taken = NDArray[Any]


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in."""
    for kind in KINDS:
        tell(f"cache: compiling the {kind} model")
        bundle = compile_bundle(write_model(kind, place), OPENVINO).bundle
        cache = place / kind / "engine.cache"
        x = rows(kind, 1)
        _start_ms(bundle, cache, x, kept=True)
        for case, timed in (("load", _load_ms), ("start", _start_ms)):
            taken: dict[bool, list[Taken]] = {True: [], False: []}
            for index in range(ROUNDS):
                tell(f"cache: {case} of the {kind} model, pair {index + 1} of {ROUNDS}")
                for kept in (True, False) if index % 2 else (False, True):
                    taken[kept].append(np.array([timed(bundle, cache, x, kept=kept)]))
            own, other = (float(np.median(taken[kept])) for kept in (True, False))
            yield figure_from_estimate(
                ratio_interval(taken[True], taken[False]),
                name=NAME,
                case=f"{case}, {kind} model",
                compared=(f"{case} with a kept cache", f"{case} without"),
                rounds=ROUNDS,
                note=f"{own:.0f} against {other:.0f} ms, {cache.stat().st_size / 1e3:.0f} kB kept",
            )


def _load_ms(path: Path, cache: Path, _: Taken, *, kept: bool) -> float:
    bundle = replace(open_bundle(path, allow_unsigned=True), cache=cache if kept else None)
    variant = bundle.variant()
    began_ns = time.perf_counter_ns()
    session = load_session(bundle, variant, threads=1)
    took_ns = time.perf_counter_ns() - began_ns
    session.close()
    return took_ns / 1e6


def _start_ms(path: Path, cache: Path, x: Taken, *, kept: bool) -> float:
    if not kept:
        cache.unlink()
    began_ns = time.perf_counter_ns()
    with Runtime.open(path, allow_unsigned=True, threads=1, state_dir=cache.parent) as runtime:
        runtime.infer({"x": x})
        return (time.perf_counter_ns() - began_ns) / 1e6
