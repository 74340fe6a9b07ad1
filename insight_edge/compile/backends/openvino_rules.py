# SPDX-License-Identifier: Apache-2.0
"""What OpenVINO does not take of the operators that it has rules for, as data, for a plan.

Found with the conformance corpora: each of these ends a build, does not load, or
is computed otherwise than the standard says.
"""

from insight_edge.compile.refusals.rules import (
    Rule,
    always,
    attribute,
    every,
    given,
    left_out,
    of_data,
    of_rank,
    said,
    some,
)

RULES = (
    Rule(
        ops=frozenset({"LSTM"}),
        met=given(7),
        reason="leaves the peepholes of {} out",
        hint="export it without",
    ),
    Rule(
        ops=frozenset({"Resize"}),
        met=some(attribute("antialias"), attribute("exclude_outside")),
        reason="does not obey antialias and exclude_outside of {}",
        hint="export it without",
    ),
    Rule(
        ops=frozenset({"Resize"}),
        met=attribute(
            "coordinate_transformation_mode", "tf_crop_and_resize", "half_pixel_symmetric"
        ),
        reason="converts no {} in coordinates of these kinds",
        hint="export it with half_pixel",
    ),
    Rule(
        ops=frozenset({"Resize"}),
        met=attribute("keep_aspect_ratio_policy", "not_larger", "not_smaller"),
        reason="does not keep the aspect ratio with {}",
        hint="let it have the sizes that come out",
    ),
    Rule(
        ops=frozenset({"Pad"}),
        met=attribute("mode", "wrap"),
        reason="converts no {} that wraps around",
        hint="join slices instead",
    ),
    Rule(
        ops=frozenset({"GridSample"}),
        met=of_rank(0, 5),
        reason="converts no {} of volumes",
        hint="sample slices",
    ),
    Rule(
        ops=frozenset({"Unsqueeze"}),
        met=of_data(1),
        reason="does not load {} whose axes are computed from the inputs",
        hint="let the model carry them as constants",
    ),
    Rule(
        ops=frozenset({"NegativeLogLikelihoodLoss"}),
        met=said("ignore_index"),
        reason="converts no {} that ignores a class",
        hint="export the model without its loss",
    ),
    Rule(
        ops=frozenset({"QuantizeLinear"}),
        met=every(attribute("block_size"), left_out(2)),
        reason="converts no {} of blocks without zero points",
        hint="give it zero points of 0",
    ),
    Rule(
        ops=frozenset({"RoiAlign"}),
        met=attribute("mode", "max"),
        reason="interpolates first where {} takes the largest, the standard last",
        hint="export it with mode avg",
    ),
    Rule(
        ops=frozenset({"STFT"}),
        met=always,
        reason="converts no {}",
        hint="compute spectra before the model",
    ),
)
