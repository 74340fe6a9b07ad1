# SPDX-License-Identifier: Apache-2.0
"""All kinds of steps: `apply` and `result_spec` with what each module teaches them.

A new kind is a document in `documents.steps` and a module that registers what it computes and
what it makes of specs; name that module here.
"""

from insight_edge.transforms import (
    detection_shapes,
    detections,
    image_arithmetic,
    image_shapes,
    sounds,
    texts,
)
from insight_edge.transforms.arithmetic import apply
from insight_edge.transforms.shapes import result_spec

TEACHERS = (detection_shapes, detections, image_arithmetic, image_shapes, sounds, texts)
"""Imported for what they register."""

__all__ = ["TEACHERS", "apply", "result_spec"]
