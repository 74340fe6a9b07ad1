# SPDX-License-Identifier: Apache-2.0
"""What TensorRT-RTX does not take of the operators that its parser knows, as data, for a plan.

Found with the conformance corpora: its parser refuses these, or they would need
an optimization profile for values and not for sizes. Which types it does not take is in
`tensorrt_types`, which operators it lacks in `tensorrt`.
"""

from insight_edge.compile.backends.tensorrt_types import TYPES
from insight_edge.compile.refusals.rules import (
    REDUCTIONS,
    Rule,
    always,
    attribute,
    beyond,
    every,
    left_out,
    of_data,
    of_rank,
    some,
    used,
)
from insight_edge.compile.refusals.usual_rules import CARRIED, COMPUTED, NO_INDICES, NO_TRAINING
from insight_edge.documents.workload import Signature


def stacks(signature: Signature) -> bool:
    """Return whether a loop stacks what each turn answers, and somebody reads that."""
    carried = len(signature.inputs) - 2
    return any(signature.outputs[carried:])


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
        ops=frozenset({"AveragePool", "LpPool", "MaxPool"}),
        met=beyond("dilations", 1),
        reason="has no {} with dilations",
        hint="export it without",
    ),
    Rule(
        ops=frozenset({"LpPool"}),
        met=some(beyond("p", 1, 2), of_rank(0, 3)),
        reason="has {} of images and volumes only, with p 1 or 2",
        hint="compose it of Pow, AveragePool and Mul",
    ),
    Rule(
        ops=frozenset({"TensorScatter"}),
        met=some(attribute("mode", "circular"), of_rank(0, 2, 3, 5)),
        reason="has {} of four dimensions only, and not circular",
        hint="use ScatterND",
    ),
    Rule(
        ops=frozenset({"Loop"}),
        met=every(some(left_out(0), of_data(0)), stacks),
        reason="stacks no answers of a {} whose number of turns is computed from the inputs",
        hint="let the model carry the number of turns",
    ),
    Rule(
        ops=frozenset({"NonZero"}),
        met=of_data(0),
        reason="builds no {}: it comes without the plug-in",
        hint="end the model before it",
    ),
    Rule(
        ops=frozenset({"RoiAlign", "STFT"}),
        met=always,
        reason="builds no {}",
        hint="compute it before or after the model",
    ),
    *TYPES,
)
