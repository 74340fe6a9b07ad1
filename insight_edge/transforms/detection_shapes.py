# SPDX-License-Identifier: Apache-2.0
"""What each step on boxes makes of specs, and why some cannot be applied.

Importing this teaches `shapes.result_spec` these steps.
"""

from insight_edge.documents.detection_steps import Boxes, Nms, Unplace
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError
from insight_edge.transforms.shapes import refuse_text, refuse_thresholds, result_spec


@result_spec.register
def _boxes(step: Boxes, spec: TensorSpec) -> TensorSpec:
    _refuse_other_than_boxes(spec)
    return TensorSpec(name=step.result, dtype="float32", shape=spec.shape)


@result_spec.register
def _unplace(step: Unplace, spec: TensorSpec, placement: TensorSpec) -> TensorSpec:
    _refuse_other_than_boxes(spec)
    if placement.shape[1:] != (6,) or placement.dtype != "float32":
        raise ConfigurationError(
            f"'{placement.name}' is {placement.dtype} {list(placement.shape)}, not a placement",
            hint="name it as `placement` of the letterbox step before the model",
        )
    return TensorSpec(name=step.result, dtype="float32", shape=spec.shape)


@result_spec.register
def _nms(step: Nms, spec: TensorSpec, scores: TensorSpec) -> tuple[TensorSpec, ...]:
    _refuse_other_than_boxes(spec)
    refuse_text(scores)
    if len(spec.shape) != 3 or len(scores.shape) != 3 or _differ(spec.shape[1], scores.shape[1]):
        raise ConfigurationError(
            f"boxes {list(spec.shape)} and scores {list(scores.shape)} do not fit",
            hint="boxes are (batch, boxes, 4), scores (batch, boxes, classes)",
        )
    refuse_thresholds(step.threshold, scores.shape[2], scores)
    if not (0 <= step.iou <= 1 and 1 <= step.most <= step.candidates):
        raise ConfigurationError(
            f"an overlap of {step.iou:g}, {step.most} of {step.candidates} boxes",
            hint="the overlap is 0 to 1, and 1 <= most <= candidates",
        )
    shape = (spec.shape[0], step.most)
    return (
        TensorSpec(name=step.result, dtype="float32", shape=(*shape, 4)),
        TensorSpec(name=step.scores_result, dtype="float32", shape=shape),
        TensorSpec(name=step.classes_result, dtype="int64", shape=shape),
    )


def _refuse_other_than_boxes(spec: TensorSpec) -> None:
    refuse_text(spec)
    if len(spec.shape) < 2 or spec.shape[-1] != 4:
        raise ConfigurationError(f"'{spec.name}' is {list(spec.shape)}, not boxes (..., 4)")


def _differ(one: int | str, other: int | str) -> bool:
    return isinstance(one, int) and isinstance(other, int) and one != other
