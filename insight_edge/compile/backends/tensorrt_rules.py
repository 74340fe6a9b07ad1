# SPDX-License-Identifier: Apache-2.0
"""What TensorRT-RTX does not take of the operators that its parser knows, as data, for a plan.

Found with the conformance corpora: its parser refuses these, or they would need
an optimization profile for values and not for sizes.
"""

from insight_edge.compile.refusals.rules import (
    REDUCTIONS,
    Rule,
    always,
    attribute,
    of_data,
    some,
    used,
)
from insight_edge.compile.refusals.usual_rules import CARRIED, COMPUTED, NO_INDICES, NO_TRAINING

RULES = (
    Rule(
        ops=REDUCTIONS
        | {"CumSum", "Expand", "Reshape", "Split", "Squeeze", "Tile", "TopK", "Unsqueeze"},
        met=of_data(1),
        reason=COMPUTED,
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset({"OneHot", "Pad", "Slice"}),
        met=some(of_data(1), of_data(2), of_data(3)),
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
        ops=frozenset({"BlackmanWindow", "ConstantOfShape", "HammingWindow", "HannWindow"}),
        met=of_data(0),
        reason=COMPUTED,
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset({"Range"}),
        met=some(of_data(0), of_data(1), of_data(2)),
        reason=COMPUTED,
        hint=CARRIED,
    ),
    Rule(
        ops=frozenset({"LayerNormalization"}),
        met=some(used(1), used(2)),
        reason="makes no mean and no deviation of {}",
        hint="leave them out",
    ),
    NO_INDICES,
    NO_TRAINING,
    Rule(
        ops=frozenset({"Resize"}),
        met=some(
            attribute("antialias"),
            attribute("keep_aspect_ratio_policy", "not_larger", "not_smaller"),
            attribute(
                "coordinate_transformation_mode", "tf_crop_and_resize", "half_pixel_symmetric"
            ),
        ),
        reason="has no {} of this kind: antialias, an aspect ratio that is kept, or coordinates",
        hint="export it with half_pixel and the sizes that come out",
    ),
    Rule(
        ops=frozenset({"ScatterElements", "ScatterND"}),
        met=attribute("reduction", "add", "mul", "max", "min"),
        reason="has no {} with a reduction",
        hint="export it without",
    ),
    Rule(
        ops=frozenset({"RoiAlign", "STFT"}),
        met=always,
        reason="builds no {}",
        hint="compute it before or after the model",
    ),
)
