# SPDX-License-Identifier: Apache-2.0
"""Steps from what a detector answers to boxes in the caller's image.

Boxes are (..., 4) in pixels; `xyxy` has two corners, `xywh` a corner and the size, `cxcywh` the
centre and the size. What is computed is in `transforms.detections`.
"""

from typing import Literal

from insight_edge.documents.step import Step

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]


class Boxes(Step, frozen=True, kw_only=True, tag="boxes"):
    """Boxes in another format, in float32."""

    origin: BoxFormat
    to: BoxFormat = "xyxy"


class Nms(Step, frozen=True, kw_only=True, tag="nms"):
    """Non-maximum suppression: the best boxes, of which no two of a class overlap too much.

    Reads `xyxy` boxes (batch, boxes, 4) and scores (batch, boxes, classes). Writes the kept ones by
    falling score, in float32, float32 and int64: boxes (batch, most, 4), scores and classes
    (batch, most). What is left over holds zeros, and -1 for a class.

    Attributes:
        scores: the tensor of scores.
        scores_result, classes_result: the other tensors written.
        iou: two boxes overlap too much where their intersection over union is larger.
        threshold: the least score, one for all classes or one for each.
        most: at most so many are kept.
        candidates: only so many, those of the highest scores, are compared with one another.
        across: boxes of different classes suppress each other too.
    """

    scores: str
    scores_result: str
    classes_result: str
    iou: float = 0.45
    threshold: tuple[float, ...] = (0.25,)
    most: int = 100
    candidates: int = 4096
    across: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """Boxes and scores."""
        return (self.source, self.scores)

    @property
    def writes(self) -> tuple[str, ...]:
        """Boxes, scores and classes."""
        return (self.result, self.scores_result, self.classes_result)


class Unplace(Step, frozen=True, kw_only=True, tag="unplace"):
    """`xyxy` boxes in the image that `letterbox` read, cut at its edges.

    Attributes:
        placement: the tensor that `letterbox` wrote.
    """

    placement: str

    @property
    def reads(self) -> tuple[str, ...]:
        """Boxes and placement."""
        return (self.source, self.placement)
