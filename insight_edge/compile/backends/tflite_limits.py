# SPDX-License-Identifier: Apache-2.0
"""Which models are not worth converting to TFLite, judged by the workload alone."""

from insight_edge.compile.backends.tflite_operators import unsupported_operators
from insight_edge.compile.quantize.int8 import nothing_to_quantize
from insight_edge.compile.refusals.refusal import Refusal, named
from insight_edge.documents.workload import Workload

MAX_PARAMETER_BYTES = 2**31 - 2**20
"""A flatbuffer addresses 2 GiB."""

RECURRENT = frozenset({"GRU", "LSTM", "RNN"})
CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})
DTYPES = frozenset({"float32", "int64", "int32", "int8", "uint8", "bool"})

INSTEAD = "tflite:int8+dynamic keeps them"


def refusal(
    workload: Workload, *, int8: bool, static: bool, is_program: bool = False
) -> str | None:
    """Return why a model is not converted or not quantised, or None.

    Args:
        workload: of the model.
        int8: whether weights are to have 8 bits.
        static: whether activations are, too.
        is_program: whether it is converted from PyTorch, not from ONNX and its operators.
    """
    unread = None if is_program else _unread(workload)
    unfit = unread or _unfit(workload)
    return unfit or loss_refusal(workload, int8=int8, static=static)


def loss_refusal(workload: Workload, *, int8: bool, static: bool) -> str | None:
    """Return why a file that needs no conversion is not quantised, or None; as `refusal`."""
    reason = nothing_to_quantize(workload) if int8 else None
    return _ruined(workload) if reason is None and static else reason


def _unfit(workload: Workload) -> str | None:
    if workload.parameter_bytes > MAX_PARAMETER_BYTES:
        return f"{workload.parameter_bytes} bytes of weights, a file holds less than 2 GiB"
    return _face_refusal(workload)


def _unread(workload: Workload) -> str | None:
    ops = sorted({operation.op for operation in workload.operations})
    classical = [op for op in ops if op.startswith("ai.onnx.ml.")]
    if classical:
        return Refusal(
            f"cannot read {', '.join(classical)}: they become custom operators that nobody has",
            hint=f"replace {named(workload, classical)}",
        )
    branches = [op for op in ops if op in CONTROL_FLOW]
    if branches:
        return Refusal(
            f"does not convert control flow ({', '.join(branches)})",
            hint=f"export without branches and loops: {named(workload, branches)}",
        )
    return unsupported_operators(workload)


def _face_refusal(workload: Workload) -> str | None:
    for spec in (*workload.inputs, *workload.outputs):
        if spec.dtype not in DTYPES:
            return Refusal(
                f"tensor '{spec.name}' is {spec.dtype}, which its kernels do not take",
                hint=f"pass '{spec.name}' as float32 and cast it inside the model",
            )
    for spec in workload.inputs:
        free = [size for size in spec.shape[1:] if isinstance(size, str)]
        if free:
            return Refusal(
                f"dimension '{free[0]}' of input '{spec.name}' is free, and only the batch may be",
                hint=f"export with a fixed size for '{free[0]}'",
            )
    return None


def _ruined(workload: Workload) -> str | None:
    """Return why static INT8 is known to cost too much: measured cosines of 0.88 to 0.99."""
    ops = {operation.op for operation in workload.operations}
    recurrent = sum(o.flops for o in workload.operations if o.op in RECURRENT)
    if 2 * recurrent > workload.flops:
        names = "/".join(sorted(ops & RECURRENT))
        return f"8-bit activations add up to wrong answers over the steps of {names}; {INSTEAD}"
    products = any(o.op == "MatMul" and not o.parameter_bytes for o in workload.operations)
    if "Softmax" in ops and products:
        return f"8-bit activations cost attention its accuracy; {INSTEAD}"
    return None
