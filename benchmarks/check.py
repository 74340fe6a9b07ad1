# SPDX-License-Identifier: Apache-2.0
"""What a pre-flight of 1,000 nodes against all profiles and backends takes, start to end.

The verb is started anew each time, as a person or a CI job does, and the clock
runs until it has ended: the interpreter, the child that reads the model, the
tables. Nothing is cached between starts but what the system keeps of files.

Expected: 1.2 s on two quiet processors, half of it in the child.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from onnx import helper, numpy_helper

from benchmarks.figure import Figure, figure_from_estimate
from insight_edge.compile.profiles.reading import shipped_profiles
from insight_edge.errors import MeasurementError
from insight_edge.stats.interval import median_interval

NAME = "check"
NODES = 1000
ROUNDS = 15
BAR_US = 2_000_000.0
TIMEOUT_S = 60

START = "import sys; from insight_edge.cli.main import main; main(sys.argv[1:])"


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figure; `place` is a directory to work in.

    Raises:
        MeasurementError: the verb did not end well.
    """
    tell(f"check: writing {NODES} nodes")
    model = write_model(place)
    _check(model)
    blocks = []
    for index in range(ROUNDS):
        tell(f"check: {index + 1} of {ROUNDS}")
        blocks.append(np.array([_check(model)], np.int64))
    value, low, high = median_interval(blocks)
    yield figure_from_estimate(
        (value / 1e3, low / 1e3, high / 1e3),
        name=NAME,
        case=f"{NODES} nodes, {len(shipped_profiles())} profiles",
        compared=("insight-edge check p50", "nothing"),
        unit="us",
        rounds=ROUNDS,
        bar=BAR_US,
    )


def write_model(place: Path) -> Path:
    """Write a chain of convolutions of `NODES` nodes and return its path."""
    random = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for index in range(NODES // 2):
        kernel = (random.normal(size=(16, 16, 3, 3)) / 12).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"w{index}"))
        names = [last, f"w{index}"]
        nodes.append(helper.make_node("Conv", names, [f"c{index}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"r{index}"]))
        last = f"r{index}"
    faces = [helper.make_tensor_value_info(name, 1, ("batch", 16, 32, 32)) for name in ("x", last)]
    graph = helper.make_graph(nodes, "chain", faces[:1], faces[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path = place / "chain.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _check(model: Path) -> int:
    """Return how long the verb took, in ns.

    Raises:
        MeasurementError: it did not end well.
    """
    command = [sys.executable, "-c", START, "check", "-m", str(model)]
    began = time.perf_counter_ns()
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    took = time.perf_counter_ns() - began
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise MeasurementError(f"check ended with {done.returncode}: {last}")
    return took
