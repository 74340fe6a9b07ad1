# SPDX-License-Identifier: Apache-2.0
"""A workload's time on a machine at its peaks, by what it is spent on; seconds of each kind.

Every kind is work over speed, so that no kind takes longer on a machine that does more.
What is really taken is a sum of them, each times a factor (`selection.factors`). An
operator's arithmetic counts in the class of the kernel that does it; what it moves, and
that it is called at all, count as kinds of their own.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.workload import Operation, Workload
from insight_edge.selection.machine import Machine

CLASSES = ("convolution", "lean convolution", "matrix product", "recurrent", "other")
KINDS = (*CLASSES, "alone", "moved", "fetched", "steps", "nodes", "shared nodes", "call")
"""In the order of every array: arithmetic by class; then

- `alone`: all arithmetic, on one core, of which a part is never shared between threads;
- `moved`: what operators read and write, through a core's cache;
- `fetched`: weights that no cache holds, from main memory;
- `steps`: of recurrent operators, that follow one another;
- `nodes`: operators, `shared nodes` those that several threads meet at the end of;
- `call`: one inference.
"""

CACHE_BYTES_PER_CYCLE = 32.0
"""That a core reads of its cache: a register of 256 bits."""

LEAN_FLOPS = 50
"""Of a convolution, for each element that it writes, at most: a depthwise one of 5 by 5."""

MOVING = frozenset({
    "Cast", "Concat", "Constant", "Dropout", "Expand", "Flatten", "Gather", "Identity", "Pad",
    "Reshape", "Shape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Operators that move or rename, and compute nothing."""

FUSED = frozenset({
    "Add", "BatchNormalization", "Clip", "HardSwish", "Identity", "Mul", "Relu", "Sigmoid",
})  # fmt: skip
"""Elementwise operators, which engines compute within the operator before."""

RECURRENT = frozenset({"GRU", "LSTM", "RNN"})


def costs(workload: Workload, machine: Machine) -> NDArray[np.float64]:
    """Return the seconds of each of `KINDS`, float64[len(KINDS)]."""
    found = dict.fromkeys(KINDS, 0.0)
    whole, cycle_s = machine.core_ops_per_s * machine.threads, 1.0 / machine.clock_hz
    plain = machine.core_fp32_per_s * machine.threads
    operations = workload.operations
    for operation in operations:
        name = _class(operation)
        found[name] += operation.flops / (plain if name in {"other", "recurrent"} else whole)
    kept = [one for one in operations if one.op not in FUSED | MOVING]
    moved = sum(one.read_bytes + one.written_bytes for one in kept)
    found["alone"] = workload.flops / machine.core_ops_per_s
    found["moved"] = moved * cycle_s / (CACHE_BYTES_PER_CYCLE * machine.threads)
    if machine.bandwidth_bytes_per_s is not None:
        beyond = max(0, workload.parameter_bytes - machine.cache_bytes)
        found["fetched"] = beyond / machine.bandwidth_bytes_per_s
    found["steps"] = _steps(workload) * 1e3 * cycle_s
    found["nodes"] = len(kept) * 1e3 * cycle_s
    found["shared nodes"] = found["nodes"] * (machine.threads > 1)
    found["call"] = 1e4 * cycle_s
    return np.array([found[kind] for kind in KINDS])


def _class(operation: Operation) -> str:
    if operation.op in {"Conv", "ConvTranspose"}:
        elements = max(1, operation.written_bytes // 4)
        return "convolution" if operation.flops / elements > LEAN_FLOPS else "lean convolution"
    if operation.op in {"Gemm", "MatMul"}:
        return "matrix product"
    return "recurrent" if operation.op in RECURRENT else "other"


def _steps(workload: Workload) -> int:
    """Return in how many steps recurrent operators read their weights: flops over two a weight."""
    count = 0
    for operation in workload.operations:
        if operation.op in RECURRENT and operation.parameter_bytes:
            count += round(2 * operation.flops / operation.parameter_bytes)
    return count


def stacked(rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return float64[rows, len(KINDS)], empty where there is no row."""
    return np.array(rows, np.float64).reshape(-1, len(KINDS))
