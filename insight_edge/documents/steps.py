# SPDX-License-Identifier: Apache-2.0
"""Pre- and post-processing as data: a list of steps over named tensors.

A step reads the tensor `source` and writes the tensor `result` (which may be
the same name). `transforms.executor` runs them; nothing here computes. The
first dimension of every tensor is the batch. Steps on images are in
`image_steps`, on sound in `sound_steps`, on text in `text_steps`, on boxes in `detection_steps`.
"""

from typing import Literal

from insight_edge.documents.codec import Document
from insight_edge.documents.detection_steps import Boxes, Nms, Unplace
from insight_edge.documents.image_steps import (
    Channels,
    Crop,
    Decode,
    Letterbox,
    Resize,
    ResizeShorter,
)
from insight_edge.documents.sound_steps import Sound
from insight_edge.documents.step import Step
from insight_edge.documents.text_steps import Tokenize


class Scale(Step, frozen=True, kw_only=True, tag="scale"):
    """Multiply by `factor`, then add `offset`, in float32."""

    factor: float
    offset: float = 0.0


class Normalize(Step, frozen=True, kw_only=True, tag="normalize"):
    """Subtract `mean` and divide by `std` along dimension `axis`, in float32."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    axis: int = -1


class Layout(Step, frozen=True, kw_only=True, tag="layout"):
    """Reorder dimensions by letter; a letter only in `to` is inserted with size 1.

    `Layout(source="image", result="x", origin="NHW", to="NCHW")` adds the channel dimension.
    """

    origin: str
    to: str


class Cast(Step, frozen=True, kw_only=True, tag="cast"):
    """Convert to another dtype."""

    dtype: str


class Softmax(Step, frozen=True, kw_only=True, tag="softmax"):
    """Softmax along `axis`, computed after subtracting the maximum."""

    axis: int = -1


class Sigmoid(Step, frozen=True, kw_only=True, tag="sigmoid"):
    """1 / (1 + exp(-x)) of each value, without overflow."""


class Argmax(Step, frozen=True, kw_only=True, tag="argmax"):
    """Index (int64) of the largest value along `axis`; ties take the first."""

    axis: int = -1


class Top(Step, frozen=True, kw_only=True, tag="top"):
    """The `count` largest values along the last dimension, and their indices, largest first.

    Attributes:
        indices: the tensor of indices (int64); ties take the first. A NaN comes last.
    """

    count: int
    indices: str

    @property
    def writes(self) -> tuple[str, ...]:
        """Values and indices."""
        return (self.result, self.indices)


class Threshold(Step, frozen=True, kw_only=True, tag="threshold"):
    """Whether each value is at least its threshold (bool); a NaN is not.

    Attributes:
        least: one for all, or one for each entry of the last dimension.
    """

    least: tuple[float, ...]


class Slice(Step, frozen=True, kw_only=True, tag="slice"):
    """Entries `start` to `stop` (left out; the end for None) along `axis`."""

    start: int
    stop: int | None = None
    axis: int = -1


class Label(Step, frozen=True, kw_only=True, tag="label"):
    """Class names (NumPy strings) for the indices in `source`.

    Attributes:
        classes: names by index; none only where a declaration's own are meant.
        absent: what -1 is called, the index of what is not there; an error for None.
    """

    classes: tuple[str, ...] = ()
    absent: str | None = None


AnyStep = (
    Sound | Tokenize | Decode | Resize | ResizeShorter | Crop | Letterbox | Channels
    | Scale | Normalize | Layout | Cast | Slice
    | Softmax | Sigmoid | Argmax | Top | Threshold | Label
    | Boxes | Nms | Unplace
)  # fmt: skip


Measure = Literal[
    "value",
    "mean",
    "std",
    "min",
    "max",
    "contrast",
    "sharpness",
    "confidence",
    "margin",
    "entropy",
    "top",
]


class Feature(Document, frozen=True, kw_only=True):
    """One number a row that the observer counts.

    Attributes:
        name: unique within the manifest, shown to people.
        tensor: the tensor it is computed from.
        measure: `value` takes the element at `index` of the flattened row; the rest
            summarise the row (of channel `index` where it is not None).
            `confidence` is the largest softmax-like probability, `margin` the largest less
            the second, `entropy` in nats, `top` the index of the largest value.
        axis: the dimension of the channels, in tensors that have one.
    """

    name: str
    tensor: str
    measure: Measure
    index: int | None = None
    axis: int = 1


class Observe(Document, frozen=True, kw_only=True):
    """What the device counts of each inference.

    Attributes:
        stage: whether input features read what the caller passed (`raw`) or what the model
            is fed (`tensor`).
        inputs: at most 64 features of the inputs.
        outputs: features of the outputs after post-processing.
        strides: of the input tensors that are sampled, by name: every so many points a block
            of two by two is read. The others are read whole.
    """

    stage: Literal["raw", "tensor"] = "tensor"
    inputs: tuple[Feature, ...] = ()
    outputs: tuple[Feature, ...] = ()
    strides: dict[str, int] = {}


__all__ = [
    "AnyStep",
    "Argmax",
    "Boxes",
    "Cast",
    "Channels",
    "Crop",
    "Decode",
    "Feature",
    "Label",
    "Layout",
    "Letterbox",
    "Measure",
    "Nms",
    "Normalize",
    "Observe",
    "Resize",
    "ResizeShorter",
    "Scale",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Sound",
    "Step",
    "Threshold",
    "Tokenize",
    "Top",
    "Unplace",
]
