# SPDX-License-Identifier: Apache-2.0
"""Which types TensorRT-RTX does not take into operators that its parser knows, as data, for a plan.

Each was tried with a graph of that operator alone, of what callers pass. Constants of
uint8 are read as int32, and taken.
"""

from insight_edge.compile.refusals.rules import (
    Rule,
    every,
    given,
    of_data,
    of_dtype,
    passed_as,
)
from insight_edge.compile.refusals.usual_rules import CARRIED
from insight_edge.documents.workload import Signature

NO_UINT8 = "takes no {} of uint8"
WIDEN = "cast it to int32 or float32 before"

UNSIGNED = frozenset({
    "Abs", "Add", "ArgMax", "ArgMin", "Clip", "Concat", "DepthToSpace", "Div", "Expand", "EyeLike",
    "Gather", "GatherElements", "GatherND", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
    "MaxPool", "Mod", "Mul", "OneHot", "Pad", "ReduceMax", "ReduceMin", "Reshape", "Resize",
    "ReverseSequence", "ScatterElements", "ScatterND", "Sign", "Slice", "SpaceToDepth", "Split",
    "Squeeze", "Sub", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where",
})  # fmt: skip
"""What was tried with uint8 that callers pass, and did not parse; Cast and Identity do."""


def bounded_otherwise(signature: Signature) -> bool:
    """Return whether a bound that is named is no constant."""
    return any(bound is None or bound.origin == "data" for bound in signature.inputs[1:])


TYPES = (
    Rule(ops=UNSIGNED, met=passed_as("uint8"), reason=NO_UINT8, hint=WIDEN),
    Rule(
        ops=frozenset({"Max", "Min", "Sum"}),
        met=every(given(1), passed_as("uint8")),
        reason=NO_UINT8,
        hint=WIDEN,
    ),
    Rule(
        ops=frozenset({"Clip"}),
        met=every(of_dtype(0, "int8"), bounded_otherwise),
        reason="takes no {} of int8 whose bounds are not constants, both",
        hint=WIDEN,
    ),
    Rule(
        ops=frozenset({"Mod"}),
        met=of_dtype(0, "int8"),
        reason="takes no {} of int8",
        hint=WIDEN,
    ),
    Rule(
        ops=frozenset({"DequantizeLinear", "QuantizeLinear"}),
        met=of_data(2),
        reason="takes no {} whose zero point is computed from the inputs",
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset({"DequantizeLinear"}),
        met=of_dtype(0, "uint8"),
        reason=NO_UINT8,
        hint="quantise to int8, about 0",
    ),
)
