# SPDX-License-Identifier: Apache-2.0
"""What an engine's process takes beside the model, for those engines where it was measured.

Pure. A backend that knows says so (`compile.plugins.seam.Weighed`); of any other nothing is
assumed. The figures are the most that was seen, on x86-64 with Linux, rounded up.
"""

import math
from dataclasses import dataclass

from insight_edge.documents.target import Precision, Target
from insight_edge.documents.workload import Workload

MIB = 2**20

LEAST_SHARE: dict[Precision, float] = {"fp32": 1.0, "bf16": 0.5, "fp16": 0.5, "int8": 0.25}
"""Of the bytes of FP32, that a weight takes at least."""

FILE_SHARE = LEAST_SHARE | {"bf16": 1.0}
"""In the file; bfloat16 is made when that is loaded."""

ITEM_BYTES = {"float32": 4, "float64": 8, "int64": 8, "int32": 4, "float16": 2, "int16": 2}
"""Of an element of an input or output; of others one."""

SHRINKING = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators whose weights get smaller; of recurrent ones it depends on the engine."""

FILE_SLACK_BYTES = MIB
"""What a file holds beside the weights and the graph: scales, names, code."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """How the peak of resident memory grows with a model.

    Attributes:
        base_bytes: of Python, the runtime and the engine with the smallest model.
        weights: copies of the weights that are there at once, the file's among them.
        activations: times the activations that are alive.
    """

    base_bytes: int
    weights: float
    activations: float


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a target takes.

    Attributes:
        artifact_bytes: of the files, at most.
        least_bytes: of memory, surely: the weights, what is passed in and what comes out.
        memory_bytes: of memory, at most; None where it is not known.
        unknown: why it is not.
    """

    artifact_bytes: int
    least_bytes: int
    memory_bytes: int | None
    unknown: str = ""


def need(
    workload: Workload, target: Target, footprint: Footprint | None, *, graph_bytes: int = 0
) -> Need:
    """Return what a target takes of storage and memory.

    Args:
        workload: of the model, at batch 1.
        target: what is built of it.
        footprint: of its engine, None where that was not measured.
        graph_bytes: of the model's file beside its weights; scales double it at most.
    """
    weight_bytes = stored_bytes(workload, target.precision)
    most = None if footprint is None else _memory_bytes(workload, target, footprint)
    unknown = _unknown(workload, footprint)
    return Need(
        artifact_bytes=weight_bytes + 2 * graph_bytes + FILE_SLACK_BYTES,
        least_bytes=_least_bytes(workload, target),
        memory_bytes=None if unknown else most,
        unknown=unknown,
    )


def stored_bytes(workload: Workload, precision: Precision) -> int:
    """Return the bytes of the weights in a file, those that nobody quantises at full length."""
    share = FILE_SHARE[precision]
    return sum(
        -int(-o.parameter_bytes * share // 1) if o.op in SHRINKING else o.parameter_bytes
        for o in workload.operations
    )


def free_sizes(workload: Workload) -> tuple[str, ...]:
    """Return the symbolic dimensions of inputs that are not their batch, sorted."""
    free = {size for spec in workload.inputs for size in spec.shape[1:] if isinstance(size, str)}
    batches = {spec.shape[0] for spec in workload.inputs if spec.shape}
    return tuple(sorted(free - batches - {"batch"}))


def _least_bytes(workload: Workload, target: Target) -> int:
    faces = sum(
        ITEM_BYTES.get(spec.dtype, 1)
        * math.prod(size for size in spec.shape if not isinstance(size, str))
        for spec in (*workload.inputs, *workload.outputs)
    )
    return int(workload.parameter_bytes * LEAST_SHARE[target.precision]) + faces


def _memory_bytes(workload: Workload, target: Target, footprint: Footprint) -> int:
    """Return the sum; weights that are only stored in fewer bits may be there in FP32 as well."""
    stays = target.precision == "int8" and not target.options
    weight_bytes = stored_bytes(workload, "int8" if stays else "fp32")
    moving = footprint.activations * workload.peak_live_bytes
    return int(footprint.base_bytes + footprint.weights * weight_bytes + moving) + 1


def _unknown(workload: Workload, footprint: Footprint | None) -> str:
    if footprint is None:
        return "what its engine takes of memory was not measured"
    free = free_sizes(workload)
    if free:
        return f"the size of {', '.join(free)} is free, and activations grow with it"
    if workload.unsized:
        return f"the size of tensor '{workload.unsized[0]}' is known only when the model runs"
    return ""
