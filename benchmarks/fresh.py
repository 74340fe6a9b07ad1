# SPDX-License-Identifier: Apache-2.0
"""One life of a process that answers with a model: by the bare engine, or by the runtime.

This file is also the program of the child, in the device's own environment: so it
imports nothing but what it measures. Both load the same artifact with the same
options, answer one row, then many, and say what that took. Clocks start at the first
line of the program, before NumPy: the interpreter's own start is no one's.
"""

import time

BEGAN_NS = time.perf_counter_ns()

import json  # noqa: E402 (the clock stands before all else)
import os  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

ENGINE, RUNTIME = "engine", "runtime"
CALLS = 12_000
"""Every ring is full and every buffer as large as it becomes long before."""

COUNTED_S = 0.5
"""After the last call: statistics are counted within 0.2 s."""

TIMEOUT_S = 300

Life = dict[str, float]
"""`first_ms` from the first line to the first answer; `import_ms` of the runtime after NumPy and
the engine; `rss`, `pss` and `uss` in MB (2**20 bytes) after many calls."""


def live(python: Path, mode: str, bundle: Path, *, calls: int = CALLS) -> Life:
    """Return what one fresh process says of itself.

    Raises:
        subprocess.SubprocessError: it failed, or took too long; what it said is on stderr.
    """
    done = subprocess.run(
        [str(python), "-P", __file__, mode, str(bundle), str(calls)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    found: Life = json.loads(done.stdout)
    return found


def _engine(bundle: Path) -> Callable[[Any], object]:
    """Return a call of ONNX Runtime alone, on the artifact and with the options of a bundle."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    winner = json.loads((bundle / "manifest.json").read_bytes())["variants"][0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if winner["settings"].get("optimized") == "yes":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        bundle / winner["entry"], options, providers=["CPUExecutionProvider"]
    )
    return lambda feed: session.run(None, feed)


def _runtime(bundle: Path) -> Callable[[Any], object]:
    """Return a call of the runtime as an application makes it, the statistics included."""
    from insight_edge.runtime import Runtime

    return Runtime.open(bundle, allow_unsigned=True, threads=1).infer


def _import_ms() -> float:
    """Return how long the runtime takes to be imported into an application with an engine."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # noqa: F401 (brings what it brings)

    began_ns = time.perf_counter_ns()
    import insight_edge.runtime  # noqa: F401

    return (time.perf_counter_ns() - began_ns) / 1e6


def _memory() -> Life:
    fields = dict(
        line.split(":", 1) for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    )
    kib = {name: int(text.split()[0]) for name, text in fields.items()}
    private = kib["Private_Clean"] + kib["Private_Dirty"]
    return {"rss": kib["Rss"] / 1024, "pss": kib["Pss"] / 1024, "uss": private / 1024}


def _main(mode: str, bundle: Path, calls: int) -> Life:
    import numpy as np

    if mode == "import":
        return {"import_ms": _import_ms()}
    with np.load(bundle / "golden.npz") as golden:
        feed = {"x": golden["input.x"][:1]}
    call = (_runtime if mode == RUNTIME else _engine)(bundle)
    call(feed)
    first_ms = (time.perf_counter_ns() - BEGAN_NS) / 1e6
    for _ in range(calls):
        call(feed)
    time.sleep(COUNTED_S if calls else 0.0)
    return {"first_ms": first_ms, **_memory()}


if __name__ == "__main__":
    print(json.dumps(_main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))), flush=True)
    os._exit(0)  # no tidying up is measured
