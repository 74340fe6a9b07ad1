# SPDX-License-Identifier: Apache-2.0
"""All kinds of steps: `apply` and `result_spec`, and which modules teach them what.

A new kind is a document in `documents.steps` and a module that registers what it computes and
what it makes of specs; name that module here, by the module of its document. Most bundles
have no steps on images, boxes or sound, and do without what reads pictures.
"""

from collections.abc import Iterable
from functools import cache
from importlib import import_module

from insight_edge.documents.steps import AnyStep
from insight_edge.transforms.arithmetic import apply
from insight_edge.transforms.shapes import result_spec

_TEACHERS = {
    "insight_edge.documents.detection_steps": ("detections", "detection_shapes"),
    "insight_edge.documents.image_steps": ("image_arithmetic", "image_shapes"),
    "insight_edge.documents.sound_steps": ("sounds",),
    "insight_edge.documents.text_steps": ("texts",),
}
"""By the module of a step's document; the others are taught by `arithmetic` and `shapes`."""

__all__ = ["apply", "learn", "result_spec"]


def learn(steps: Iterable[AnyStep]) -> None:
    """Import what `apply` and `result_spec` need to know of these steps, once."""
    for step in steps:
        _learn(type(step))


@cache
def _learn(kind: type) -> None:
    for teacher in _TEACHERS.get(kind.__module__, ()):
        import_module(f"insight_edge.transforms.{teacher}")
