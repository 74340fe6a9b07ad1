# SPDX-License-Identifier: Apache-2.0
"""Forms of operators that onnx2tf does not lower, or wrongly, as data, for a plan.

By what their attributes say; what is computed from the inputs is in `tflite_rules`.
"""

from insight_edge.compile.refusals.rules import (
    Rule,
    attribute,
    beyond,
    every,
    not_along_last,
    of_data,
    of_dtype,
    of_rank,
    some,
)

FORMS = (
    Rule(
        ops=frozenset({"AveragePool", "LpPool", "MaxPool"}),
        met=beyond("dilations", 1),
        reason="has no dilated {}",
        hint="pool without dilations",
    ),
    Rule(
        ops=frozenset({"LpPool"}),
        met=some(
            of_rank(0, 3, 5),
            beyond("pads", 0),
            attribute("auto_pad", "SAME_LOWER", "SAME_UPPER"),
            attribute("ceil_mode"),
        ),
        reason="has {} over two dimensions alone, without padding or sizes that are rounded up",
        hint="pad the image before, or say it as powers and AveragePool",
    ),
    Rule(
        ops=frozenset({"LpNormalization"}),
        met=some(attribute("p", 1), not_along_last),
        reason="has {} by squares and along the last axis alone",
        hint="divide by a ReduceL1 or ReduceL2 instead",
    ),
    Rule(
        ops=frozenset({"GridSample"}),
        met=attribute("padding_mode", "reflection"),
        reason="has no {} that reflects at the border",
        hint="sample with padding_mode border or zeros",
    ),
    Rule(
        ops=frozenset({"GridSample"}),
        met=every(of_rank(0, 5), attribute("mode", "nearest")),
        reason="has no {} of the nearest in a volume",
        hint="sample linearly",
    ),
    Rule(
        ops=frozenset({"Mod"}),
        met=attribute("fmod"),
        reason="has no {} with the sign of the dividend (fmod)",
        hint="subtract the truncated quotient times the divisor instead",
    ),
    Rule(
        ops=frozenset({"BitShift"}),
        met=every(attribute("direction", "LEFT"), some(of_data(1), of_dtype(0, "uint8"))),
        reason="has no {} to the left of 8 bits, or by what is computed from the inputs",
        hint="multiply by a power of two instead",
    ),
)
