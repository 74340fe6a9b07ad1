# SPDX-License-Identifier: Apache-2.0
"""What TVM's ONNX frontend does not take of the operators that it knows, as data, for a plan.

Found with the conformance corpora: each of these ends a build, or in answers
that differ. What `tvm_graph` says in other operators is not among them.
"""

from insight_edge.compile.refusals.rules import (
    REDUCTIONS,
    Rule,
    always,
    attribute,
    of_data,
    some,
)
from insight_edge.compile.refusals.usual_rules import (
    CARRIED,
    COMPUTED,
    NO_INDICES,
    NO_PADDED_KEYS,
    NO_TRAINING,
)

RULES = (
    Rule(ops=REDUCTIONS, met=of_data(1), reason=COMPUTED, hint=CARRIED),
    Rule(
        ops=frozenset(
            {
                "AffineGrid",
                "CenterCropPad",
                "CumSum",
                "Reshape",
                "Split",
                "Squeeze",
                "TopK",
            }
        ),
        met=of_data(1),
        reason=COMPUTED,
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset({"BlackmanWindow", "HammingWindow", "HannWindow"}),
        met=of_data(0),
        reason=COMPUTED,
        hint=CARRIED,
    ),
    NO_PADDED_KEYS,
    Rule(
        ops=frozenset({"OneHot"}),
        met=some(of_data(1), of_data(2)),
        reason="takes no {} whose depth or values are computed from the inputs",
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset({"Pad"}),
        met=some(of_data(1), of_data(2), of_data(3)),
        reason="takes no {} whose pads or value are computed from the inputs",
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset({"Resize"}),
        met=some(of_data(2), of_data(3)),
        reason="takes no {} whose scales or sizes are computed from the inputs",
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset({"NonMaxSuppression"}),
        met=always,
        reason="answers {} with as many boxes as there may be, not with those that were selected",
        hint="end the model before it, and select boxes in the application",
    ),
    Rule(
        ops=frozenset({"RoiAlign"}),
        met=attribute("mode", "max"),
        reason="takes the largest with {} otherwise than the standard",
        hint="use the average",
    ),
    NO_INDICES,
    NO_TRAINING,
    Rule(
        ops=frozenset({"QuantizeLinear", "DequantizeLinear"}),
        met=attribute("block_size"),
        reason="takes no {} with a scale for each block",
        hint="use a scale for each tensor or channel",
    ),
)
