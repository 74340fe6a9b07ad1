# SPDX-License-Identifier: Apache-2.0
"""One stand-in for a device: a process that is held back, and times networks in OpenVINO.

It reads a `Work` as JSON from its standard input and writes a `Done`. It pins itself, and
joins its control group once all networks are loaded; `ONEDNN_MAX_CPU_ISA` is set by whoever
starts it. Its figure is the mean over a block of calls that follow one another, since a
quota stops a process for many calls and then not at all for many more.
"""

import os
import sys
import time
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.measure import time_block

WARM_S = 0.02


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be timed, and how.

    Attributes:
        models: ONNX files by name.
        cpus: that the process is pinned to; as many threads infer.
        tasks: file of a control group that the process joins; empty for none.
        precision: that the engine computes in, `f32` or `bf16`.
        blocks: timed of each model.
        block_s: how long one lasts, about.
    """

    models: dict[str, str]
    cpus: tuple[int, ...]
    tasks: str = ""
    precision: str = "f32"
    blocks: int
    block_s: float


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """One model's figures: the mean of each block, and what came before."""

    means_ms: tuple[float, ...]
    calls: int
    load_ms: float
    first_ms: float


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """Figures by model, and the most memory that the process held."""

    timed: dict[str, Timed]
    peak_rss_bytes: int


@dataclass(frozen=True)
class _Loaded:
    """A network that is ready to be asked."""

    request: Any
    query: dict[int, NDArray[np.float32]]
    load_ms: float


def main() -> None:
    """Do the work that the standard input says."""
    work = msgspec.json.decode(sys.stdin.buffer.read(), type=Work)
    os.sched_setaffinity(0, work.cpus)
    loaded = {name: _load(path, work) for name, path in work.models.items()}
    if work.tasks:
        Path(work.tasks).write_text(str(os.getpid()))
    timed = {name: _timed(one, work) for name, one in loaded.items()}
    done = Done(timed=timed, peak_rss_bytes=_peak_rss_bytes())
    sys.stdout.buffer.write(msgspec.json.encode(done))


def _peak_rss_bytes() -> int:
    """Return the most that was resident; `ru_maxrss` would be that of the process it came from."""
    lines = Path("/proc/self/status").read_text().splitlines()
    told = next(line for line in lines if line.startswith("VmHWM:"))
    return int(told.split()[1]) * 1024


def _load(path: str, work: Work) -> _Loaded:
    import openvino

    options = {
        "INFERENCE_NUM_THREADS": len(work.cpus),
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": work.precision,
        "ENABLE_CPU_PINNING": False,
    }
    begun = time.perf_counter()
    compiled = openvino.Core().compile_model(path, "CPU", options)
    request = compiled.create_infer_request()
    load_ms = (time.perf_counter() - begun) * 1e3
    x = np.random.default_rng(0).standard_normal(tuple(compiled.input(0).shape), np.float32)
    return _Loaded(request=request, query={0: x}, load_ms=load_ms)


def _timed(one: _Loaded, work: Work) -> Timed:
    call, queries = one.request.infer, repeat(one.query)
    first_ns = int(time_block(call, queries, 1)[0])
    warm = time_block(call, queries, max(3, min(1000, int(WARM_S * 1e9 / first_ns))))
    calls = int(np.clip(work.block_s * 1e9 / np.median(warm), 4, 2000))
    blocks = [time_block(call, queries, calls) for _ in range(work.blocks)]
    return Timed(
        means_ms=tuple(float(block.mean()) / 1e6 for block in blocks),
        calls=calls,
        load_ms=one.load_ms,
        first_ms=first_ns / 1e6,
    )


if __name__ == "__main__":
    main()
