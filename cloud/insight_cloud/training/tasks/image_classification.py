# SPDX-License-Identifier: Apache-2.0
"""Image classification: grey images to one of some classes, by a small convolutional network."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, ClassVar

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from torch.utils.data import TensorDataset

from insight_cloud.datasets.dataset import Dataset, Split
from insight_cloud.evaluation.classification import ClassificationEvaluation, evaluate
from insight_cloud.training.added import ADDED, HELD_OUT
from insight_cloud.training.config import Positive, TrainConfig
from insight_cloud.training.images.augmentation import AugmentationSection, augment
from insight_cloud.training.images.fitting import fit, repeatable
from insight_cloud.training.images.model import (
    MODEL_INPUT,
    MODEL_OUTPUT,
    PREDICTED,
    ImageFormat,
    ImageModel,
)
from insight_cloud.training.images.network import ConvolutionalNetwork
from insight_cloud.training.images.source import onnx_from_network
from insight_cloud.training.task import Progress, Trained
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.documents.codec import Document
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError

CALIBRATION_ROWS = 128
"""Training rows that quantisation may look at; more change its ranges no further. As many of
those that were added, where the world may be another."""


class NetworkSection(Document, frozen=True, kw_only=True):
    """The network.

    Attributes:
        height, width: of the image it is fed, after resizing.
        channels: of each convolution; the image is halved between two.
        hidden: units before the logits.
    """

    height: Positive = 32
    width: Positive = 32
    channels: Annotated[tuple[Positive, ...], Meta(min_length=1)] = (32, 64, 128, 256)
    hidden: Positive = 144


class ImageClassificationConfig(TrainConfig, frozen=True, kw_only=True):
    """A `train.toml` with `task = "image-classification"`."""

    network: NetworkSection = NetworkSection()
    augmentation: AugmentationSection = AugmentationSection()


class ImageClassification:
    """The task; see `training.task.Task`."""

    config: ClassVar = ImageClassificationConfig

    def train(
        self,
        config: ImageClassificationConfig,
        dataset: Dataset,
        progress: Callable[[Progress], None],
    ) -> Trained:
        """Return the network trained on the `train` split, with all that travels beside it.

        Raises:
            ConfigurationError: the rows are not grey images, fewer than the limit, or smaller
                than the network's halvings.
            TrainingError: it diverged, or the exported model disagrees with the trained one.
        """
        form = _format(config.network, dataset)
        first = dataset.splits["train"].first(config.data.limit)
        training = first.then(dataset.splits.get(ADDED))
        validation = dataset.splits["validation"]
        model = ImageModel(
            format=form,
            source=_fitted(config, form, training, validation, progress),
            threads=config.resources.threads,
        )
        seen = model.answer(training.inputs)
        evaluation = _evaluated(model, dataset, "validation")
        labelled = _evaluated(model, dataset, HELD_OUT) if HELD_OUT in dataset.splits else None
        return Trained(
            source=model.source,
            description=model.describe(name=config.name, task=config.task, seen=seen),
            evaluation=evaluation,
            labelled=labelled,
            metrics=_metrics("accuracy", evaluation) | _metrics("labelled_accuracy", labelled),
            data=npz_from_arrays(_samples(dataset, first)),
            reference_rows=model.feature_rows(seen),
        )


def _evaluated(model: ImageModel, dataset: Dataset, name: str) -> ClassificationEvaluation:
    split = dataset.splits[name]
    predicted = model.answer(split.inputs)[PREDICTED] if split.rows else split.labels
    return evaluate(split.labels, predicted, dataset.classes, dataset=dataset.name, split=name)


def _samples(dataset: Dataset, training: Split) -> dict[str, NDArray[np.generic]]:
    """Return rows for `insight-edge compile`: held-out ones prove, those trained on calibrate."""
    proving = dataset.splits["validation"].then(dataset.splits.get(HELD_OUT))
    calibrating = training.first(min(CALIBRATION_ROWS, len(training.rows)))
    if ADDED in dataset.splits:
        calibrating = calibrating.then(_spread(dataset.splits[ADDED], CALIBRATION_ROWS))
    both = proving.then(calibrating)
    verification = np.ones(len(both.rows), np.bool_)
    verification[len(proving.rows) :] = False
    return {dataset.input_name: both.inputs, "labels": both.labels, "verification": verification}


def _spread(split: Split, most: int) -> Split:
    """Return rows spread evenly over a split, at most so many."""
    step = max(1, -(-len(split.rows) // most))
    return Split(rows=split.rows[::step], inputs=split.inputs[::step], labels=split.labels[::step])


def _fitted(
    config: ImageClassificationConfig,
    form: ImageFormat,
    training: Split,
    validation: Split,
    progress: Callable[[Progress], None],
) -> bytes:
    """Return a network fitted to the training rows, as ONNX compared on the validation rows."""
    network = config.network
    with repeatable(seed=config.fitting.seed, threads=config.resources.threads):
        module = ConvolutionalNetwork(
            channels=network.channels,
            hidden=network.hidden,
            classes=len(form.classes),
            height=form.height,
            width=form.width,
        )
        fit(
            module,
            TensorDataset(
                torch.from_numpy(form.prepare(training.inputs)),
                torch.from_numpy(training.labels),
            ),
            config.fitting,
            vary=partial(augment, section=config.augmentation),
            progress=progress,
        )
        return onnx_from_network(
            module,
            form.prepare(validation.inputs),
            input_name=MODEL_INPUT,
            output_name=MODEL_OUTPUT,
            threads=config.resources.threads,
        )


def _format(network: NetworkSection, dataset: Dataset) -> ImageFormat:
    images = dataset.splits["train"].inputs
    if images.ndim != 3:
        raise ConfigurationError(
            f"data set '{dataset.name}' has rows of {images.ndim - 1} dimensions",
            hint="image-classification takes grey images (height, width)",
        )
    if min(network.height, network.width) >> max(len(network.channels) - 1, 0) < 1:
        raise ConfigurationError(
            f"{network.height}x{network.width} cannot be halved {len(network.channels) - 1} times",
            hint="shorten network.channels, or feed a larger image",
        )
    return ImageFormat(
        image=TensorSpec(
            name=dataset.input_name, dtype=images.dtype.name, shape=("batch", *images.shape[1:])
        ),
        peak=dataset.peak,
        height=network.height,
        width=network.width,
        classes=dataset.classes,
    )


def _metrics(name: str, evaluation: ClassificationEvaluation | None) -> dict[str, float]:
    if evaluation is None or evaluation.accuracy.value is None:
        return {}
    accuracy = evaluation.accuracy
    return {
        name: accuracy.successes / accuracy.total,
        f"{name}_low": accuracy.low,
        f"{name}_high": accuracy.high,
    }
