# SPDX-License-Identifier: Apache-2.0
"""A trained network with the steps around it: the whole that a device will run.

Training and evaluation use the steps through the same executor as a device.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_cloud.evaluation.source_model import run_onnx
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.documents.codec import digest
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.source import SourceDescription
from insight_edge.documents.steps import (
    AnyStep,
    Argmax,
    Label,
    Layout,
    Observe,
    Resize,
    Scale,
    Softmax,
)
from insight_edge.documents.tensors import TensorSpec
from insight_edge.transforms.executor import infer_specs, run
from insight_edge.transforms.features import image_features, output_features
from insight_edge.transforms.reference import reference_from_tensors, reference_rows
from insight_edge.transforms.sampling import default_strides

MODEL_INPUT = "x"
MODEL_OUTPUT = "logits"
PROBABILITIES = "probabilities"
PREDICTED = "class"
LABEL = "label"

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class ImageFormat:
    """What callers pass, what the network is fed, and what its logits mean.

    Attributes:
        image: name, dtype and shape (batch, h, w) of the caller's input.
        peak: its largest value; the network is fed 0 to 1.
        height, width: of the image that the network is fed.
    """

    image: TensorSpec
    peak: float
    height: int
    width: int
    classes: tuple[str, ...]

    @property
    def before(self) -> tuple[AnyStep, ...]:
        """Steps from the caller's image to float32 (batch, 1, height, width)."""
        return (
            Resize(
                source=self.image.name, result=MODEL_INPUT, height=self.height, width=self.width
            ),
            Scale(source=MODEL_INPUT, result=MODEL_INPUT, factor=1.0 / self.peak),
            Layout(source=MODEL_INPUT, result=MODEL_INPUT, origin="NHW", to="NCHW"),
        )

    @property
    def after(self) -> tuple[AnyStep, ...]:
        """Steps from logits (batch, classes) to probabilities, class index and class name."""
        return (
            Softmax(source=MODEL_OUTPUT, result=PROBABILITIES),
            Argmax(source=PROBABILITIES, result=PREDICTED),
            Label(source=PREDICTED, result=LABEL, classes=self.classes),
        )

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What callers receive."""
        logits = TensorSpec(name=MODEL_OUTPUT, dtype="float32", shape=("batch", len(self.classes)))
        return tuple(spec for spec in infer_specs(self.after, [logits]) if spec != logits)

    @property
    def observe(self) -> Observe:
        """What a device counts: the caller's image, which is smaller than the resized one."""
        features = image_features(self.image.name)
        return Observe(
            stage="raw",
            inputs=features,
            outputs=output_features(PROBABILITIES),
            strides=default_strides(features, [self.image]),
        )

    def prepare(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return what the network is fed for callers' images (n, h, w)."""
        return run(self.before, {self.image.name: images})[MODEL_INPUT]


@dataclass(frozen=True, kw_only=True)
class ImageModel:
    """An ONNX file behind a format.

    Attributes:
        source: the file.
        threads: to run it with.
    """

    format: ImageFormat
    source: bytes
    threads: int

    def answer(self, images: NDArray[Any]) -> Tensors:
        """Return all tensors for callers' images (n, h, w): theirs, the model's, the results."""
        fed = {MODEL_INPUT: self.format.prepare(images)}
        logits = run_onnx(self.source, fed, threads=self.threads)
        return run(self.format.after, {self.format.image.name: images} | fed | logits)

    def describe(self, *, name: str, task: str, seen: Tensors) -> SourceDescription:
        """Return what travels beside the file; `seen` are the answers to the training images."""
        return SourceDescription(
            model=ModelInfo(
                name=name, digest=digest(self.source), task=task, classes=self.format.classes
            ),
            inputs=(self.format.image,),
            outputs=self.format.outputs,
            pre=self.format.before,
            post=self.format.after,
            observe=self.format.observe,
            reference=reference_from_tensors(self.format.observe, seen, seen),
        )

    def feature_rows(self, seen: Tensors) -> bytes:
        """Return the `rows` that the reference counted and their `names`, as .npz."""
        observe = self.format.observe
        features = (*observe.inputs, *observe.outputs)
        names = np.array([feature.name for feature in features])
        return npz_from_arrays({"names": names, "rows": reference_rows(observe, seen, seen)})
