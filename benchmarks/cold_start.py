# SPDX-License-Identifier: Apache-2.0
"""From nothing to the first answer, against the engine's own load and first call.

Fresh processes in turn, in the device's environment; files are in the system's cache.
The runtime reads and digests the bundle, loads, checks the golden samples, makes three
calls to warm, and answers; the engine alone loads the same artifact and answers. Both
import NumPy and the engine on the clock.

Expected: 1.3 of the engine for the short model, 20 ms of its 110 being imports; 1.35
for the network of a million parameters, whose 16 golden samples are 19 more answers.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.bundles import ONNXRUNTIME, compile_bundle, write_model
from benchmarks.figure import Figure, figure_from_estimate
from benchmarks.fresh import ENGINE, RUNTIME, live
from benchmarks.networks import Kind
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.stats.interval import ratio_interval

NAME = "cold-start"
KINDS: tuple[Kind, ...] = ("short", "image")
ROUNDS = 25
BAR = 1.3


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in.

    Raises:
        ToolchainMissingError: the device's environment is not installed.
    """
    python = environment_python("device-onnxruntime")
    for kind in KINDS:
        tell(f"cold-start: compiling the {kind} model")
        bundle = compile_bundle(write_model(kind, place), ONNXRUNTIME).bundle
        taken: dict[str, list[np.ndarray[tuple[int], np.dtype[np.float64]]]] = {}
        for index in range(ROUNDS):
            tell(f"cold-start: {kind} model, process pair {index + 1} of {ROUNDS}")
            for mode in (ENGINE, RUNTIME) if index % 2 else (RUNTIME, ENGINE):
                first_ms = live(python, mode, bundle, calls=0).first_ms
                taken.setdefault(mode, []).append(np.array([first_ms]))
        own, other = (float(np.median(np.concatenate(taken[m]))) for m in (RUNTIME, ENGINE))
        yield figure_from_estimate(
            ratio_interval(taken[RUNTIME], taken[ENGINE]),
            name=NAME,
            case=f"{kind} model",
            compared=("runtime to its first answer", "engine to its first answer"),
            rounds=ROUNDS,
            bar=BAR,
            note=f"{own:.0f} against {other:.0f} ms",
        )
