# SPDX-License-Identifier: Apache-2.0
"""What onnx2tf does not lower of the operators that it knows, as data, for a plan.

Found with the conformance corpora: it ends well with most of these and writes a
custom operator in their place, or what no kernel takes.
"""

from insight_edge.compile.backends.tflite_forms import FORMS
from insight_edge.compile.refusals.rules import (
    REDUCTIONS,
    Rule,
    always,
    attribute,
    of_data,
    of_dtype,
    some,
)
from insight_edge.compile.refusals.usual_rules import (
    CARRIED,
    COMPUTED,
    NO_INDICES,
    NO_PADDED_KEYS,
    NO_TRAINING,
)

PASSED = "takes no {} whose weights or scales are computed from the inputs"
CAST = "cast to float32 or int32 before"

RULES = (
    Rule(
        ops=REDUCTIONS
        | {
            "AffineGrid",
            "CenterCropPad",
            "Col2Im",
            "CumSum",
            "Expand",
            "OneHot",
            "Reshape",
            "Split",
        }
        | {"Squeeze", "Trilu", "Unsqueeze"},
        met=of_data(1),
        reason=COMPUTED,
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset({"Pad", "Slice"}),
        met=some(*map(of_data, range(1, 5))),
        reason=COMPUTED,
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset({"MelWeightMatrix"}),
        met=some(*map(of_data, range(5))),
        reason=COMPUTED,
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset({"NonMaxSuppression", "Resize"}),
        met=some(of_data(2), of_data(3)),
        reason=COMPUTED,
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset(
            {
                "Conv",
                "ConvInteger",
                "ConvTranspose",
                "DequantizeLinear",
                "GRU",
                "InstanceNormalization",
                "LSTM",
                "PRelu",
                "QLinearConv",
                "QLinearMatMul",
                "QuantizeLinear",
                "RNN",
            }
        ),
        met=of_data(1),
        reason=PASSED,
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset({"QuantizeLinear", "DequantizeLinear"}),
        met=attribute("block_size"),
        reason="takes no {} with a scale for each block",
        hint="use a scale for each tensor or channel",
    ),
    Rule(
        ops=frozenset(
            {
                "Add",
                "BitwiseNot",
                "Div",
                "Equal",
                "Greater",
                "GreaterOrEqual",
                "Less",
                "LessOrEqual",
                "Mul",
                "Sub",
            }
        ),
        met=of_dtype(0, "int8", "uint8"),
        reason="has no kernel for {} of 8-bit integers that are not quantised",
        hint=CAST,
    ),
    Rule(
        ops=frozenset({"Mod"}),
        met=of_dtype(0, "uint8"),
        reason="has no kernel for {} of unsigned integers",
        hint="cast to int32 before",
    ),
    Rule(
        ops=frozenset({"Pow"}),
        met=of_dtype(0, "int32", "int64"),
        reason="takes no {} of integers",
        hint=CAST,
    ),
    Rule(
        ops=frozenset({"BitwiseAnd", "BitwiseOr", "DFT", "DeformConv", "STFT", "Unique"}),
        met=always,
        reason="makes a custom operator of {}, which no engine has",
        hint="replace it",
    ),
    Rule(
        ops=frozenset({"ScatterElements"}),
        met=attribute("reduction", "max", "min"),
        reason="has no {} that takes the largest or the least",
        hint="export it without a reduction",
    ),
    Rule(
        ops=frozenset({"ScatterND"}),
        met=attribute("reduction", "add", "mul", "max", "min"),
        reason="has no {} that combines what it meets",
        hint="export it without a reduction",
    ),
    NO_PADDED_KEYS,
    Rule(
        ops=frozenset({"GridSample"}),
        met=attribute("mode", "bicubic", "cubic"),
        reason="has no cubic {}",
        hint="sample linearly",
    ),
    NO_INDICES,
    NO_TRAINING,
    Rule(
        ops=frozenset({"Pad"}),
        met=attribute("mode", "wrap"),
        reason="has no {} that wraps around",
        hint="join slices instead",
    ),
    *FORMS,
)
