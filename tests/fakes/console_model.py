# SPDX-License-Identifier: Apache-2.0
"""Versions of a classifier of digits as a cloud keeps them: registered, compiled, published.

The classifier calls a digit by the nearest mean image, so that it errs as models do and
gets worse when images change. Its counts are real; the evidence of its bundles is made up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_cloud.datasets.digits import load_digits
from insight_cloud.evaluation.classification import evaluate
from insight_cloud.installation import Installation
from insight_cloud.registry.rules import ModelVersion
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.bundle.write import file_entry, write_bundle
from insight_edge.documents.codec import encode_json
from insight_edge.documents.evidence import (
    Evidence,
    Interval,
    Measurement,
    Noise,
    Proof,
    Trial,
)
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import (
    Io,
    Manifest,
    ModelInfo,
    Provenance,
    Reference,
    Variant,
)
from insight_edge.documents.statistics import document_from_grid, document_from_summary
from insight_edge.documents.steps import Observe
from insight_edge.documents.target import Target
from insight_edge.documents.tensors import TensorSpec
from insight_edge.stats.grid import Grid, grid_from_rows
from insight_edge.stats.summary import Summary
from insight_edge.stats.tally import Tally
from insight_edge.transforms.features import extract, image_features, output_features
from tests.fakes.bundles import ARTIFACT, EVIDENCE, GOLDEN, bundle_files, bundle_manifest

MODEL = "digits"
INPUTS = image_features("image")
OUTPUTS = output_features("probabilities")
SHARPNESS = 60.0
"""The smaller, the surer the model is of its answers."""

Images = NDArray[np.uint8]


@dataclass
class Digits:
    """A classifier, and what it counts.

    Attributes:
        classes: names, which a test may have made hostile.
    """

    classes: tuple[str, ...] = tuple(str(digit) for digit in range(10))
    means: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.data = load_digits().splits
        train = self.data["train"]
        self.means = np.stack(
            [train.inputs[train.labels == digit].mean(axis=0) for digit in range(10)]
        )
        self.rows = self.features(train.inputs.astype(np.uint8))
        names = [feature.name for feature in (*INPUTS, *OUTPUTS)]
        self.grid = grid_from_rows(names, self.rows)

    def probabilities(self, images: Images) -> NDArray[np.float64]:
        """Return (n, 10)."""
        apart = ((images[:, None] - self.means[None]) ** 2).sum(axis=(2, 3)) / SHARPNESS
        scores = np.exp(-(apart - apart.min(axis=1, keepdims=True)))
        return np.asarray(scores / scores.sum(axis=1, keepdims=True), np.float64)

    def features(self, images: Images) -> NDArray[np.float64]:
        """Return what is observed of images, (n, features)."""
        tensors: dict[str, NDArray[Any]] = {
            "image": images,
            "probabilities": self.probabilities(images),
        }
        return np.hstack([extract(INPUTS, tensors), extract(OUTPUTS, tensors)])

    def summaries(self, images: Images) -> tuple[Summary, Summary]:
        """Return what a device counts of images: of the inputs, and of the outputs."""
        rows = self.features(images)
        width = len(INPUTS)
        return (
            _counted(_part(self.grid, slice(0, width)), rows[:, :width]),
            _counted(_part(self.grid, slice(width, None)), rows[:, width:]),
        )

    def reference(self) -> Reference:
        return Reference(
            grid=document_from_grid(self.grid),
            summary=document_from_summary(_counted(self.grid, self.rows)),
            rows=len(self.rows),
        )


def register(cloud: Installation, digits: Digits, weights: bytes, now: datetime) -> ModelVersion:
    """Register a version with its evaluation and the rows of its reference."""
    split = digits.data["validation"]
    predicted = digits.probabilities(split.inputs.astype(np.uint8)).argmax(axis=1)
    wrong = np.random.default_rng(len(weights)).random(len(predicted)) < 0.004 * len(weights)
    answers = np.where(wrong, (predicted + 1) % 10, predicted)
    evaluation = evaluate(
        split.labels, answers, digits.classes, dataset="digits", split="validation"
    )
    accuracy = evaluation.accuracy
    names = [feature.name for feature in (*INPUTS, *OUTPUTS)]
    return cloud.registry.register(
        MODEL,
        task="image-classification",
        artifacts={
            "model.onnx": weights,
            "evaluation.json": encode_json(evaluation),
            "reference.npz": npz_from_arrays({"rows": digits.rows, "names": np.array(names)}),
        },
        metrics={
            "accuracy": accuracy.successes / accuracy.total,
            "accuracy_low": accuracy.low,
            "accuracy_high": accuracy.high,
        },
        by="Ada",
        now=now,
    )


def publish(
    cloud: Installation,
    digits: Digits,
    version: ModelVersion,
    profile: str,
    now: datetime,
    *,
    reason: str = "the fastest that is proven within the limits",
) -> str:
    """Publish a bundle with full evidence and return its digest."""
    files = bundle_files(f"{version.label} {profile}".encode() * 4000)
    files[EVIDENCE] = encode_json(_evidence(version, profile, reason))
    directory = cloud.settings.state / "made" / f"{profile}-{version.number}"
    directory.parent.mkdir(exist_ok=True)
    write_bundle(directory, _manifest(files, digits, version, profile, reason), files)
    return cloud.releases.publish(directory, by="Ada", now=now).bundle


def _manifest(
    files: dict[str, bytes], digits: Digits, version: ModelVersion, profile: str, reason: str
) -> Manifest:
    entries = {name: file_entry(name, data) for name, data in files.items()}
    image = TensorSpec(name="image", dtype="uint8", shape=("batch", 8, 8))
    answer = TensorSpec(name="probabilities", dtype="float32", shape=("batch", 10))
    io = Io(inputs=(image,), outputs=(answer,), model_inputs=(image,), model_outputs=(answer,))
    variants = (
        _variant("openvino-int8", "openvino", "int8", entries, reason),
        _variant(
            "onnxruntime-fp32", "onnxruntime", "fp32", entries, "the FP32 original", "fallback"
        ),
    )
    return msgspec.structs.replace(
        bundle_manifest(files),
        model=ModelInfo(
            name=MODEL,
            version=version.number,
            digest=version.digest,
            task=version.task,
            classes=digits.classes,
        ),
        profile=profile,
        io=io,
        observe=Observe(inputs=INPUTS, outputs=OUTPUTS),
        variants=variants,
        golden=msgspec.structs.replace(bundle_manifest(files).golden, file=entries[GOLDEN]),
        reference=digits.reference(),
        evidence=entries[EVIDENCE],
        provenance=Provenance(
            toolchain={"openvino": "2026.4.0", "nncf": "3.4.0", "onnxruntime": "1.31.0"},
            reproduce=f"insight-edge compile -m model.onnx --profile {profile} "
            "--calibration data.npz -o bundle",
            created="2026-11-21T09:00:00Z",
        ),
    )


def _variant(
    name: str,
    backend: str,
    precision: Any,
    entries: dict[str, Any],
    reason: str,
    role: Literal["winner", "fallback"] = "winner",
) -> Variant:
    return Variant(
        name=name,
        target=Target(backend=backend, precision=precision),
        entry=ARTIFACT,
        files=(entries[ARTIFACT],),
        engine_versions=">=2025.4,<2027",
        role=role,
        decision=reason,
        tolerance=0.5,
    )


def _evidence(version: ModelVersion, profile: str, reason: str) -> Evidence:
    made: Sequence[tuple[str, Any, float, float, str, str, bool]] = (
        ("openvino", "int8", 0.0521, 0.28, "PROVEN", reason, True),
        ("onnxruntime", "int8", 0.0683, 0.28, "PROVEN", "slower than openvino:int8", False),
        ("openvino", "fp32", 0.0894, 0.0, "PROVEN", "slower than openvino:int8", False),
        ("onnxruntime", "fp32", 0.1077, 0.0, "PROVEN", "the FP32 original is the fallback", False),
        ("openvino", "bf16", 0.0881, 1.9, "FAILED", "may lose 2.6 pp, 1.0 are allowed", False),
    )
    trials = [_trial(profile, *one) for one in made]
    refused = Trial(
        target=Target(backend="openvino", precision="fp16"),
        status="refused",
        reason="this CPU computes fp16 as fp32: nothing is gained",
    )
    return Evidence(
        model_digest=version.digest,
        profile=profile,
        measured_on=Facts(
            arch="x86_64",
            cpu_model="AMD Ryzen Embedded R1305G",
            isa=("avx2",),
            cores=2,
            memory_bytes=8 * 2**30,
            os="Linux",
        ),
        trials=(*trials, refused),
        created="2026-11-21T09:00:00Z",
    )


def _trial(  # noqa: PLR0917 - the columns of the table above
    profile: str,
    backend: str,
    precision: Any,
    p50_ms: float,
    drop_pp: float,
    verdict: Any,
    reason: str,
    chosen: bool,
) -> Trial:
    """Return a trial with its figures."""
    noise = Noise(load_1min=0.4, steal_share=0.0, involuntary_switches=12, round_spread=0.03)
    interval = Interval(value=p50_ms, low=p50_ms * 0.985, high=p50_ms * 1.017)
    measurement = Measurement(
        region="one call of infer",
        iterations=4000,
        rounds=10,
        threads=2,
        p50_ms=interval,
        mean_ms=p50_ms * 1.05,
        percentiles_ms={"p90": p50_ms * 1.2, "p99": p50_ms * 1.9},
        load_ms=38.0,
        first_ms=1.9,
        peak_rss_bytes=96_000_000,
        noise=noise,
        verdict="VALID",
    )
    proof = Proof(
        rows=360,
        labelled=True,
        metric="accuracy",
        source_value=0.975,
        target_value=0.975 - drop_pp / 100,
        drop_pp=drop_pp,
        drop_upper_pp=drop_pp + 0.7,
        budget_pp=1.0,
        agreement=0.994,
        max_abs_error=0.21,
        sqnr_db=31.4,
        worst_row=17,
        verdict=verdict,
        reason=f"{drop_pp:.2f} pp lost on 360 labelled rows, at most {drop_pp + 0.7:.2f}",
    )
    target = Target(backend=backend, precision=precision)
    return Trial(
        target=target,
        status="built",
        reason=reason,
        chosen=chosen,
        build_s=11.4 if precision == "int8" else 2.3,
        artifact_bytes=210_000 if precision == "int8" else 780_000,
        proof=proof,
        measurement=measurement,
        reproduce=f"insight-edge compile -m model.onnx --profile {profile} "
        f"--target {target.token} -o bundle",
    )


def _part(grid: Grid, chosen: slice) -> Grid:
    return Grid(
        names=grid.names[chosen],
        low=grid.low[chosen],
        cell=grid.cell[chosen],
        lookup=grid.lookup[chosen],
    )


def _counted(grid: Grid, rows: NDArray[np.float64]) -> Summary:
    tally = Tally(grid)
    tally.observe(rows)
    return tally.summary()
