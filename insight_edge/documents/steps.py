# SPDX-License-Identifier: Apache-2.0
"""Pre- and post-processing as data: a list of steps over named tensors.

A step reads the tensor `source` and writes the tensor `result` (which may be
the same name). `transforms.executor` runs them; nothing here computes. The
first dimension of every tensor is the batch.
"""

from typing import Literal

from insight_edge.documents.codec import Document


class Step(Document, frozen=True, kw_only=True, tag_field="op"):
    """What all steps share.

    Attributes:
        source: the tensor read.
        result: the tensor written.
    """

    source: str
    result: str


class Resize(Step, frozen=True, kw_only=True, tag="resize"):
    """Bilinear resize of the two spatial dimensions, half-pixel centres, edges clamped.

    Reads (batch, h, w) or (batch, h, w, channels); writes float32 of the same rank.
    """

    height: int
    width: int


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


class Argmax(Step, frozen=True, kw_only=True, tag="argmax"):
    """Index (int64) of the largest value along the last dimension; ties take the first."""


class Label(Step, frozen=True, kw_only=True, tag="label"):
    """Class names (NumPy strings) for the indices in `source`."""

    classes: tuple[str, ...]


AnyStep = Resize | Scale | Normalize | Layout | Cast | Softmax | Argmax | Label


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
    "Cast",
    "Feature",
    "Label",
    "Layout",
    "Measure",
    "Normalize",
    "Observe",
    "Resize",
    "Scale",
    "Softmax",
    "Step",
]
