# SPDX-License-Identifier: Apache-2.0
"""What a checked model asks of hardware: arithmetic, bytes moved, memory alive at once.

Everything is at batch 1 with symbolic dimensions taken as 1. It is counted from
the graph as it was exported: what an engine fuses away is still in it. How
control flow counts is said in `compile.graph.operations`.
"""

from onnx import ModelProto

from insight_edge.compile.graph.check import opset_of
from insight_edge.compile.graph.operations import count_operations
from insight_edge.compile.graph.shapes import inferred, specs_of, unfolded, weights_of
from insight_edge.documents.workload import Workload
from insight_edge.errors import ModelError
from insight_edge.selection.liveness import peak_live_bytes

MAX_COUNT = 2**62
"""Of operations or bytes; no machine finishes that, and no document holds much more."""

__all__ = ["peak_live_bytes", "workload_from_onnx"]


def workload_from_onnx(model: ModelProto, digest: str) -> Workload:
    """Return the workload of a model that passed `check_model`; `digest` is of its file.

    Raises:
        ModelError: a tensor is larger than any machine's memory, or the arithmetic more than
            any machine does.
    """
    inputs, outputs = specs_of(model)
    counted = count_operations(
        inferred(unfolded(model)), weights_of(model.graph), [spec.name for spec in inputs]
    )
    operations = tuple(counted.operations)
    parameter_bytes = sum(operation.parameter_bytes for operation in operations)
    moved_bytes = sum(operation.read_bytes + operation.written_bytes for operation in operations)
    if max(counted.flops, moved_bytes, parameter_bytes, counted.peak_bytes) > MAX_COUNT:
        raise ModelError("it asks for more than any machine does: more than 2^62 operations")
    return Workload(
        model_digest=digest,
        opset=opset_of(model),
        inputs=inputs,
        outputs=outputs,
        operations=operations,
        flops=counted.flops,
        parameter_bytes=parameter_bytes,
        peak_live_bytes=counted.peak_bytes,
        unknown_ops=tuple(sorted(counted.unknown)),
        peak_operation=counted.peak_operation,
        peak_tensors=counted.peak_tensors,
        unsized=tuple(sorted(counted.unsized)),
        signatures=counted.signatures,
    )
