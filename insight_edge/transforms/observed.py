# SPDX-License-Identifier: Apache-2.0
"""Whether the features that a manifest observes can be computed: asked before there is a row.

What `features.extract` would raise in the middle of serving is refused here.
"""

import math
from collections.abc import Sequence

from insight_edge.documents.steps import Feature, Observe
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError
from insight_edge.transforms.features import MAX_INPUT_FEATURES
from insight_edge.transforms.sampling import Sampling
from insight_edge.transforms.shapes import DTYPES


def check_observe(
    observe: Observe, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> None:
    """Refuse features that cannot be computed from these tensors.

    `inputs` are the specs at `observe.stage`; `outputs` those after post-processing.

    Raises:
        ConfigurationError: too many input features, a name is there twice, or a feature reads
            what does not exist; the feature is named. Or a tensor cannot be sampled.
    """
    if len(observe.inputs) > MAX_INPUT_FEATURES:
        raise ConfigurationError(
            f"observe: {len(observe.inputs)} input features, at most {MAX_INPUT_FEATURES}"
        )
    names = [feature.name for feature in (*observe.inputs, *observe.outputs)]
    if len(set(names)) < len(names):
        raise ConfigurationError("observe: two features have one name")
    for features, specs in ((observe.inputs, inputs), (observe.outputs, outputs)):
        known = {spec.name: spec for spec in specs}
        for feature in features:
            reason = _refuse(feature, known.get(feature.tensor))
            if reason:
                raise ConfigurationError(f"observe: feature '{feature.name}': {reason}")
    Sampling(observe.strides, observe.inputs, inputs)


def _refuse(feature: Feature, spec: TensorSpec | None) -> str | None:
    if spec is None:
        return f"there is no tensor '{feature.tensor}'"
    if spec.dtype not in DTYPES:
        return f"'{spec.name}' is {spec.dtype}, not a number"
    if feature.measure == "value":
        return _refuse_value(feature, spec)
    rank = len(spec.shape)
    has_channels = feature.index is not None or rank == 4
    if has_channels and feature.axis not in {*range(1, rank), *range(1 - rank, 0)}:
        return f"'{spec.name}' has no channels along dimension {feature.axis}"
    return _refuse_channel(feature, spec)


def _refuse_value(feature: Feature, spec: TensorSpec) -> str | None:
    if feature.index is None:
        return "`value` needs an index"
    sizes = [size for size in spec.shape[1:] if isinstance(size, int)]
    if feature.index < 0 or (
        len(sizes) == len(spec.shape) - 1 and feature.index >= math.prod(sizes)
    ):
        return f"a row of '{spec.name}' has no element {feature.index}"
    return None


def _refuse_channel(feature: Feature, spec: TensorSpec) -> str | None:
    rank = len(spec.shape)
    if feature.index is not None:
        size = spec.shape[feature.axis]
        if feature.index < 0 or (isinstance(size, int) and feature.index >= size):
            return f"'{spec.name}' has no channel {feature.index}"
    spatial = rank - 1 - (feature.index is not None)
    if feature.measure == "sharpness" and spatial < 2:
        return f"'{spec.name}' has no two spatial dimensions"
    return None
