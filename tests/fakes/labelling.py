# SPDX-License-Identifier: Apache-2.0
"""Samples that have arrived from devices, and people to be asked about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_cloud.labels.rules import Task
from insight_cloud.labels.service import Labels
from insight_cloud.platform.blobs import Blobs
from insight_cloud.platform.database import Database
from insight_cloud.telemetry.known import find_in
from insight_cloud.telemetry.samples import SampleState
from insight_cloud.telemetry.service import Telemetry
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.delivery import Predictions
from insight_edge.documents.manifest import Manifest, ModelInfo
from insight_edge.documents.tensors import TensorSpec
from tests.fakes.bundles import bundle_files, bundle_manifest
from tests.fakes.telemetry import NOW, message, offer, predictions

CLASSES = ("cat", "dog", "eel")
IMAGE = TensorSpec(name="image", dtype="uint8", shape=("batch", 8, 8))


def image_manifest(version: int = 1, classes: tuple[str, ...] = CLASSES, **io: Any) -> Manifest:
    """Return the manifest of a model that classifies images."""
    manifest = bundle_manifest(bundle_files())
    model = ModelInfo(name="pets", version=version, digest=digest(b"pets"), classes=classes)
    shape = msgspec.structs.replace(manifest.io, **({"inputs": (IMAGE,)} | io))
    return msgspec.structs.replace(manifest, model=model, io=shape)


def image(value: int) -> NDArray[np.uint8]:
    """Return the row of a picture that differs from all others."""
    return (np.arange(64, dtype=np.uint32).reshape(1, 8, 8) * 3 + value).astype(np.uint8)


@dataclass
class Labelling:
    """A cloud as far as labels need one."""

    database: Database
    blobs: Blobs
    folder: Path
    counter: int = field(default=0)

    def __post_init__(self) -> None:
        self.telemetry = Telemetry(self.database, find_in(self.blobs), self.folder / "log")
        self.labels = Labels(self.database, self.telemetry, self.blobs)
        self.bundle = self.know(image_manifest())

    def know(self, manifest: Manifest) -> str:
        """Let the cloud know a bundle, and return its digest."""
        return self.blobs.put(encode_json(manifest))

    def arrive(
        self,
        data: bytes | Mapping[str, NDArray[Any]] | None = None,
        *,
        device: str = "camera-1",
        kept: bool = True,
        **changes: Any,
    ) -> str:
        """Let a device offer a sample and upload it, and return its digest."""
        self.counter += 1
        if data is None:
            data = {"image": image(self.counter)}
        content = data if isinstance(data, bytes) else npz_from_arrays(data)
        name = self.blobs.put(content) if kept else digest(content)
        fields = {
            "device": device,
            "id": f"{device}/default/1/{self.counter}",
            "bundle": self.bundle,
            "length_bytes": len(content),
            "outputs": {"scores": (0.5, 0.3, 0.2)},
        }
        self.telemetry.ingest([message(offer(name, **(fields | changes)))], NOW)
        self.telemetry.ask_samples(changes.get("bundle", self.bundle), most=1, each=10_000, now=NOW)
        assert self.telemetry.move_sample(device, name, SampleState.UPLOADED, NOW)
        return name

    def asked(self, count: int = 1, **changes: Any) -> list[Task]:
        """Let samples arrive and be gathered, and return the open tasks."""
        for _ in range(count):
            self.arrive(**changes)
        self.labels.gather(NOW)
        return list(self.labels.queue().tasks)

    def predicted(self, *counters: int) -> None:
        """Let the log know what was answered to these calls of the first device: a cat."""
        batch: Predictions = predictions(
            counters, scores=[(0.9, 0.1, 0.0)] * len(counters), bundles=(self.bundle,)
        )
        self.telemetry.ingest([message(batch)], NOW)

    def correct_of_judged(self) -> tuple[int, int]:
        """Return how many results were right, of those that are known."""
        hours = self.telemetry.joined(self.bundle, NOW - timedelta(days=1))
        return sum(hour.correct for hour in hours), sum(hour.judged for hour in hours)


def later(**amount: float) -> datetime:
    return NOW + timedelta(**amount)
