# SPDX-License-Identifier: Apache-2.0
"""The program of one fresh process (`benchmarks.fresh`): it imports nothing but what it measures.

Arguments: what answers, the bundle, how many calls, and of the artifact its file, whether it
is optimised, the name and width of its input. Clocks start at the first line, before NumPy:
the interpreter's own start is no one's. It prints numbers.
"""

import time

BEGAN_NS = time.perf_counter_ns()

import os  # noqa: E402 (the clock stands before all else)
import sys  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

COUNTED_S = 0.5
"""After the last call: statistics are counted within 0.2 s."""


def main(
    mode: str, bundle: str, calls: str, entry: str, optimized: str, name: str, *sizes: str
) -> list[float]:
    """Return what the process took, in the order of `benchmarks.fresh.Life`."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import numpy as np

    if mode == "import":
        return [_import_ms()]
    feed = {name: np.zeros((1, *map(int, sizes)), "float32")}
    call: Callable[[Any], Any]
    if mode == "runtime":
        from insight_edge.runtime import Runtime

        call = Runtime.open(bundle, allow_unsigned=True, threads=1).infer
    else:
        call = _engine(f"{bundle}/{entry}", optimized == "yes")
    call(feed)
    first_ms = (time.perf_counter_ns() - BEGAN_NS) / 1e6
    for _ in range(int(calls)):
        call(feed)
    time.sleep(COUNTED_S if int(calls) else 0)
    return [first_ms, *_memory_mb()]


def _import_ms() -> float:
    """Return how long the runtime takes to be imported into an application with an engine."""
    import onnxruntime  # noqa: F401 (brings what it brings)

    began_ns = time.perf_counter_ns()
    import insight_edge.runtime  # noqa: F401

    return (time.perf_counter_ns() - began_ns) / 1e6


def _engine(path: str, optimized: bool) -> "Callable[[Any], Any]":
    """Return a call of ONNX Runtime alone, with the options that the runtime gives it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(None, feed)


def _memory_mb() -> list[float]:
    """Return RSS, PSS and what is this process's own, in MB of 2**20 bytes."""
    with open("/proc/self/smaps_rollup") as file:  # noqa: PTH123
        fields = [line.split() for line in file.readlines()[1:]]
    kib = {field[0]: int(field[1]) for field in fields}
    private = kib["Private_Clean:"] + kib["Private_Dirty:"]
    return [kib["Rss:"] / 1024, kib["Pss:"] / 1024, private / 1024]


if __name__ == "__main__":
    print(*main(*sys.argv[1:]), flush=True)
    os._exit(0)  # no tidying up is measured
