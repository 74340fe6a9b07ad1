# SPDX-License-Identifier: Apache-2.0
"""What each step on boxes computes (rules T24 to T26 in docs/formats/transforms.md).

Importing this teaches `arithmetic.apply` these steps. Each image is suppressed on its own, in an
order that ties do not change: by score, then by box, then by class.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.detection_steps import Boxes, BoxFormat, Nms, Unplace
from insight_edge.transforms.arithmetic import apply

Array = NDArray[Any]
Floats = NDArray[np.float32]


@apply.register
def _boxes(step: Boxes, array: Array) -> Array:
    corners = _corners(np.asarray(array, dtype=np.float32), step.origin)
    return np.ascontiguousarray(_as_format(corners, step.to))


def _corners(boxes: Floats, origin: BoxFormat) -> Floats:
    first, second = boxes[..., :2], boxes[..., 2:]
    if origin == "xyxy":
        return boxes
    begin = first if origin == "xywh" else first - second / 2
    return np.concatenate([begin, begin + second], axis=-1)


def _as_format(corners: Floats, to: BoxFormat) -> Floats:
    begin, end = corners[..., :2], corners[..., 2:]
    if to == "xyxy":
        return corners
    first = begin if to == "xywh" else (begin + end) / 2
    return np.concatenate([first, end - begin], axis=-1)


@apply.register
def _unplace(step: Unplace, boxes: Array, placement: Array) -> Array:
    del step
    placed = placement.reshape(len(placement), *(1,) * (boxes.ndim - 2), 6)
    scale, begin, size = (np.concatenate([placed[..., i : i + 2]] * 2, -1) for i in (0, 2, 4))
    moved = (np.asarray(boxes, np.float32) - begin) / scale
    return np.ascontiguousarray(np.clip(moved, 0, size))


@apply.register
def _nms(step: Nms, boxes: Array, scores: Array) -> tuple[Array, Array, Array]:
    count = len(boxes)
    kept_boxes = np.zeros((count, step.most, 4), np.float32)
    kept_scores = np.zeros((count, step.most), np.float32)
    classes = np.full((count, step.most), -1, np.int64)
    for row in range(count):
        own = np.asarray(boxes[row], np.float32), np.asarray(scores[row], np.float32)
        box, kind = _suppressed(step, *own)
        kept_boxes[row, : len(box)] = own[0][box]
        kept_scores[row, : len(box)] = own[1][box, kind]
        classes[row, : len(box)] = kind
    return kept_boxes, kept_scores, classes


def _suppressed(
    step: Nms, boxes: Floats, scores: Floats
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return box and class of what one image keeps, best first."""
    # A NaN is no score that reaches a threshold, and a box with one overlaps with nothing.
    whole = np.isfinite(boxes).all(axis=-1, keepdims=True)
    box, kind = np.nonzero((scores >= np.array(step.threshold, np.float32)) & whole)
    order = np.argsort(-scores[box, kind], kind="stable")[: step.candidates]
    box, kind = box[order], kind[order]
    kept: list[int] = []
    left = np.arange(len(box))
    while len(left) and len(kept) < step.most:
        best, left = left[0], left[1:]
        kept.append(int(best))
        near = overlaps(boxes[box[best]], boxes[box[left]]) > step.iou
        left = left[~(near & (step.across | (kind[left] == kind[best])))]
    return box[kept], kind[kept]


def overlaps(one: Floats, others: Floats) -> Floats:
    """Return intersection over union of one `xyxy` box with each of others; 0 without an area."""
    begin, end = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:], others[:, 2:])
    common = np.maximum(end - begin, 0).prod(axis=-1)
    areas = np.maximum(others[:, 2:] - others[:, :2], 0).prod(axis=-1)
    union = areas + np.maximum(one[2:] - one[:2], 0).prod() - common
    shares: Floats = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return shares
