# SPDX-License-Identifier: Apache-2.0
"""What the runtime weighs on top of Python, NumPy and an engine: wheel, import, memory.

Memory is compared between fresh processes in turn, in the device's environment: one
calls ONNX Runtime alone, the other the runtime on the same artifact, with 64 features
observed of every row. Both make thousands of calls first, so that every buffer has
grown. Resident memory counts pages of libraries that processes share; what is the
process's own is told beside it. The agent is another program, with a figure of its own.

Expected: a wheel of 0.95 MB, 30 ms to import, 8 MB resident of which 7 are the
process's own, 1.7 pages of NumPy that a bare engine never touches.
"""

import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.bundles import ONNXRUNTIME, compile_bundle, write_model
from benchmarks.estimates import difference_interval
from benchmarks.figure import Figure, figure_from_estimate
from benchmarks.fresh import ENGINE, RUNTIME, Life, import_ms, live
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.stats.interval import median_interval

NAME = "footprint"
ROOT = Path(__file__).parents[1]
ROUNDS = 15
WHEEL_MB, IMPORT_MS, RSS_MB = 1.0, 60.0, 8.0
MB = 1e6
WORKSHOP = ("insight_edge/compile/", "insight_edge/selection/")


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in.

    Raises:
        ToolchainMissingError: the device's environment is not installed.
    """
    python = environment_python("device-onnxruntime")
    tell("footprint: building the wheel")
    yield from _wheel(place)
    tell("footprint: compiling the model")
    bundle = compile_bundle(write_model("short", place), ONNXRUNTIME).bundle
    yield _import(python, bundle)
    lives: dict[str, list[Life]] = {ENGINE: [], RUNTIME: []}
    for index in range(ROUNDS):
        tell(f"footprint: process pair {index + 1} of {ROUNDS}")
        for mode in (ENGINE, RUNTIME) if index % 2 else (RUNTIME, ENGINE):
            lives[mode].append(live(python, mode, bundle))
    for kind, bar in (("rss", RSS_MB), ("pss", None), ("uss", None)):
        own, other = (
            [np.array([getattr(life, kind)]) for life in lives[m]] for m in (RUNTIME, ENGINE)
        )
        yield figure_from_estimate(
            difference_interval(own, other),
            name=NAME,
            case="64 features, 12 000 calls",
            compared=(f"runtime, {kind.upper()}", "engine + NumPy"),
            unit="MB",
            rounds=ROUNDS,
            bar=bar,
            note=f"{np.median(own):.1f} against {np.median(other):.1f} MB",
        )


def _wheel(place: Path) -> Iterator[Figure]:
    """Yield how much there is to download: all of this distribution, and less the compiler."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(place), str(ROOT)],
        check=True,
        capture_output=True,
    )
    wheel = next(place.glob("*.whl"))
    whole = wheel.stat().st_size
    for case, size, bar in (
        ("the whole distribution", whole, WHEEL_MB),
        ("without what compiles and selects", whole - _workshop_bytes(wheel), None),
    ):
        yield figure_from_estimate(
            (size / MB, size / MB, size / MB),
            name=NAME,
            case=case,
            compared=("wheel", "nothing"),
            unit="MB",
            rounds=ROUNDS,
            bar=bar,
            note="built once: its length does not vary",
        )


def _workshop_bytes(wheel: Path) -> int:
    with zipfile.ZipFile(wheel) as archive:
        return sum(
            info.compress_size for info in archive.infolist() if info.filename.startswith(WORKSHOP)
        )


def _import(python: Path, bundle: Path) -> Figure:
    taken = [np.array([import_ms(python, bundle)]) for _ in range(ROUNDS)]
    return figure_from_estimate(
        median_interval(taken),
        name=NAME,
        case="NumPy and ONNX Runtime imported",
        compared=("import insight_edge.runtime", "nothing"),
        unit="ms",
        rounds=ROUNDS,
        bar=IMPORT_MS,
    )
