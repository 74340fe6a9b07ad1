# SPDX-License-Identifier: Apache-2.0
"""A bundle with a reference, the version that made it, and reports of windows like it or not."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from insight_cloud.monitoring.service import Monitoring
from insight_cloud.platform.blobs import Blobs, open_blobs
from insight_cloud.platform.database import Database
from insight_cloud.registry.service import Registry
from insight_cloud.telemetry.known import find_in
from insight_cloud.telemetry.service import Telemetry
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.documents.codec import encode_json
from insight_edge.documents.delivery import Predictions
from insight_edge.documents.manifest import Manifest, ModelInfo
from insight_edge.documents.report import Counts, Report, Window
from insight_edge.documents.statistics import document_from_latency, document_from_summary
from insight_edge.documents.steps import Feature, Observe
from insight_edge.stats.grid import Grid
from insight_edge.stats.latency import LatencyHistogram
from insight_edge.stats.tally import Tally
from insight_edge.transforms.reference import reference_from_tensors
from tests.fakes.bundles import bundle_files, bundle_manifest
from tests.fakes.telemetry import message, outcome, predictions

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MODEL = "pets"
WINDOW = 100
SHIFT = 3.0
Rows = NDArray[np.float64]

OBSERVE = Observe(
    inputs=tuple(
        Feature(name=name, tensor="x", measure="value", index=index)
        for index, name in enumerate(("warmth", "light"))
    ),
    outputs=(
        Feature(name="y.confidence", tensor="y", measure="confidence"),
        Feature(name="y.top", tensor="y", measure="top"),
    ),
)


def seen(rows: int, seed: int, *, shift: float = 0.0) -> dict[str, Rows]:
    """Return inputs and answers; inputs that are shifted are a new world."""
    random = np.random.default_rng(seed)
    sure = random.uniform(0.5, 1.0, rows)
    cats = random.random(rows) < 0.5
    y = np.where(
        cats[:, None], np.column_stack([sure, 1 - sure]), np.column_stack([1 - sure, sure])
    )
    return {"x": random.normal(shift, 1.0, (rows, 2)), "y": y}


def manifest_of(
    tensors: dict[str, Rows] | None, *, model: str = MODEL, version: int = 1
) -> Manifest:
    manifest = bundle_manifest(bundle_files())
    info = ModelInfo(
        name=model, version=version, digest=manifest.model.digest, classes=("cat", "dog")
    )
    reference = None if tensors is None else reference_from_tensors(OBSERVE, tensors, tensors)
    return replace(manifest, model=info, observe=OBSERVE, reference=reference)


@dataclass
class Monitored:
    """Domains over one database, and the reports that its devices send.

    Attributes:
        sequence: of the next report.
    """

    database: Database
    blobs: Blobs
    registry: Registry
    telemetry: Telemetry
    monitoring: Monitoring
    now: datetime = NOW
    sequence: int = 0

    def register(self, rows: Rows | None, *, accuracy: float = 0.978) -> None:
        """Record a version with its reference rows, or without any."""
        artifacts = {"model.onnx": b"weights"}
        if rows is not None:
            names = np.array([f.name for f in (*OBSERVE.inputs, *OBSERVE.outputs)])
            artifacts["reference.npz"] = npz_from_arrays({"names": names, "rows": rows})
        self.registry.register(
            MODEL, task="t", artifacts=artifacts, metrics={"accuracy": accuracy}, by="Ada", now=NOW
        )

    def publish(self, *, reference_rows: int | None = 700, registered: bool = True) -> str:
        """Keep a bundle, and its version in the registry, and return the bundle's digest."""
        tensors = None if reference_rows is None else seen(reference_rows, 0)
        if registered:
            self.register(None if tensors is None else feature_rows(tensors))
        return self.blobs.put(encode_json(manifest_of(tensors)))

    def report(
        self, bundle: str, rows: int, *, shift: float = 0.0, device: str = "camera-1"
    ) -> Report:
        """Return the next report of some rows."""
        self.sequence += 1
        tensors = seen(rows, 1000 + self.sequence, shift=shift)
        sides = self._sides(bundle, feature_rows(tensors))
        latency = LatencyHistogram()
        latency.observe_ns(np.full(rows, 10**6))
        at_s = self.now.timestamp()
        return Report(
            device=device,
            boot=1,
            sequence=self.sequence,
            bundle=bundle,
            variant="fp32",
            signed=True,
            window=Window(opened_s=at_s - 60, closed_s=at_s),
            counts=Counts(asked=rows, answered=rows, observed=rows),
            latency=document_from_latency(latency),
            **sides,
        )

    def _sides(self, bundle: str, rows: Rows) -> dict[str, Any]:
        known = find_in(self.blobs)(bundle)
        assert known is not None
        if known.inputs is None or known.outputs is None:
            return {}
        return {
            "inputs": document_from_summary(_counted(known.inputs, rows[:, :2])),
            "outputs": document_from_summary(_counted(known.outputs, rows[:, 2:])),
        }

    def send(
        self, bundle: str, *shifts: float, rows: int = WINDOW, device: str = "camera-1"
    ) -> None:
        """Let a device report windows of rows, each shifted by so much."""
        reports = [self.report(bundle, rows, shift=shift, device=device) for shift in shifts]
        self.telemetry.ingest([message(each) for each in reports], self.now)
        while self.telemetry.roll_up(self.now):
            pass

    def judge(self) -> int:
        """Judge everything that is new."""
        judged = 0
        while done := self.monitoring.run(self.now):
            judged += done
        return judged

    def watch(self, bundle: str, *shifts: float, rows: int = WINDOW) -> None:
        """Send and judge windows one after the other, a minute each."""
        for shift in shifts:
            self.now += timedelta(minutes=1)
            self.send(bundle, shift, rows=rows)
            self.judge()

    def answered(self, bundle: str, right: int, wrong: int) -> None:
        """Let results of a bundle come, and how they turned out."""
        counters = tuple(range(1, right + wrong + 1))
        results: Predictions = predictions(
            counters, bundles=(bundle,), at_s=(self.now.timestamp(),) * len(counters)
        )
        outcomes = [outcome(n, "cat" if n <= right else "dog") for n in counters]
        self.telemetry.ingest(
            [message(results), *(message(each, device="camera-1") for each in outcomes)], self.now
        )


def feature_rows(tensors: dict[str, Rows]) -> Rows:
    """Return what is counted of tensors, as the reference has it."""
    y = tensors["y"]
    return np.column_stack([tensors["x"], y.max(1), y.argmax(1)])


def monitored(database: Database, folder: Path, *, segment_rows: int = WINDOW) -> Monitored:
    """Return the domains over a database; files are below a folder."""
    blobs = open_blobs(folder / "blobs")
    registry = Registry(database, blobs)
    telemetry = Telemetry(database, find_in(blobs), folder / "log", segment_rows=segment_rows)
    return Monitored(
        database=database,
        blobs=blobs,
        registry=registry,
        telemetry=telemetry,
        monitoring=Monitoring(database, telemetry, registry, blobs),
    )


def _counted(grid: Grid, rows: Rows) -> Any:
    tally = Tally(grid)
    tally.observe(rows)
    return tally.summary()
