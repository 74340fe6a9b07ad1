# SPDX-License-Identifier: Apache-2.0
"""Which operators TVM's ONNX frontend takes, as data, so that a plan need not import it.

The frontend looks at an operator's name and not at its domain, so what it knows
of other domains is not in here: under the standard one it means something else.
A test compares the list with the installed toolchain.
"""

from collections.abc import Callable

from insight_edge.compile.backends.tvm_rules import RULES
from insight_edge.compile.refusals.refusal import Refusal, named
from insight_edge.compile.refusals.rules import rule_refusal
from insight_edge.documents.workload import Workload

RELEASE = "0.27.0.post1"
"""Of apache-tvm, that the list was read from."""

KNOWN = frozenset({
    "Abs", "Acos", "Acosh", "Add", "AffineGrid", "And", "ArgMax", "ArgMin", "Asin", "Asinh",
    "Atan", "Atanh", "AveragePool", "BatchNormalization", "BitShift", "BitwiseAnd",
    "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil", "Clip", "Compress",
    "Concat", "Constant", "ConstantOfShape", "Conv", "ConvTranspose", "Cos", "Cosh", "CumSum",
    "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "DynamicQuantizeLinear", "Einsum",
    "Elu", "Equal", "Erf", "Exp", "Expand", "EyeLike", "Flatten", "Floor", "Gather",
    "GatherElements", "GatherND", "Gelu", "Gemm", "GlobalAveragePool", "GlobalLpPool",
    "GlobalMaxPool", "Greater", "GreaterOrEqual", "GridSample", "GroupNormalization",
    "HardSigmoid", "HardSwish", "Hardmax", "Identity", "InstanceNormalization", "IsInf",
    "IsNaN", "LRN", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log",
    "LogSoftmax", "LpPool", "MatMul", "MatMulInteger", "Max", "MaxPool", "MaxRoiPool",
    "MaxUnpool", "Mean", "MeanVarianceNormalization", "Min", "Mish", "Mod", "Mul", "Neg",
    "NonMaxSuppression", "NonZero", "Not", "OneHot", "Or", "PRelu", "Pad", "Pow",
    "QuantizeLinear", "RMSNormalization", "Range", "Reciprocal", "ReduceL1", "ReduceL2",
    "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Resize", "RoiAlign", "Round", "Scatter",
    "ScatterElements", "ScatterND", "Selu", "Shape", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh",
    "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt",
    "Squeeze", "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu", "Tile", "TopK", "Transpose",
    "Trilu", "Unique", "Unsqueeze", "Upsample", "Where", "Xor",
})  # fmt: skip

DECOMPOSED = frozenset({
    "Attention", "BlackmanWindow", "Celu", "CenterCropPad", "HammingWindow", "HannWindow",
    "NegativeLogLikelihoodLoss", "RotaryEmbedding", "SoftmaxCrossEntropyLoss", "Swish",
})  # fmt: skip
"""Not known, and said in operators that are: onnx has a body of each."""

FOREIGN = frozenset({
    "AllClassNMS", "Attention", "BiasGelu", "EmbedLayerNormalization", "FastGelu",
    "MatMulInteger16", "SkipLayerNormalization",
})  # fmt: skip
"""Known under these names, but as operators of other domains or of none."""

WITHOUT_TENSORS = frozenset({
    "ConcatFromSequence", "Optional", "OptionalGetElement", "OptionalHasElement", "SequenceAt",
    "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength",
    "SplitToSequence",
})  # fmt: skip
"""Known, and not taken: sequences and optionals, which no bundle has room for."""

NEEDING_PYTHON = frozenset({"Compress", "NonZero", "Unique"})
"""Known, and compiled into calls of functions that only the compiler's Python package has."""

RECURRENT = frozenset({"GRU", "LSTM", "RNN"})
CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})


def unknown_operators(workload: Workload) -> str | None:
    """Return why TVM cannot compile a model, or None where nothing is known against it."""
    ops = {operation.op for operation in workload.operations}
    for unread, reason in _REASONS:
        if met := sorted(op for op in ops if unread(op)):
            hint = f"replace {named(workload, met)}"
            return Refusal(reason.format(", ".join(met)), hint=hint)
    return rule_refusal(workload, RULES)


_REASONS: tuple[tuple[Callable[[str], bool], str], ...] = (
    (
        RECURRENT.__contains__,
        "its ONNX frontend has no recurrent operators ({}): export the loop over time unrolled",
    ),
    (CONTROL_FLOW.__contains__, "compiles no control flow ({})"),
    (lambda op: op.startswith("ai.onnx.ml."), "has no classical operators ({})"),
    (WITHOUT_TENSORS.__contains__, "handles tensors alone, not sequences or optionals ({})"),
    (
        NEEDING_PYTHON.__contains__,
        "compiles {} into calls that no device has an implementation of",
    ),
    (lambda op: op not in KNOWN | DECOMPOSED, "its ONNX frontend does not know {}"),
)
