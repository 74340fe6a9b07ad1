# SPDX-License-Identifier: Apache-2.0
"""Put artifacts, golden samples, reference and evidence into a bundle.

The same code writes the drafts that trials are examined in and the bundle that
is shipped: what was proven and measured went through the path of the device.
Which artifacts go in is decided by `compile.choose`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.golden import golden_bytes
from insight_edge.bundle.write import file_entry, write_bundle
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.trials.oracle import Arrays
from insight_edge.compile.trials.question import Question
from insight_edge.documents.codec import encode_json
from insight_edge.documents.evidence import Evidence, FloatLayer
from insight_edge.documents.manifest import Golden, Io, Manifest, Provenance, Variant
from insight_edge.documents.target import Precision, Target
from insight_edge.transforms.executor import answered

GOLDEN_FILE = "golden.npz"
EVIDENCE_FILE = "evidence.json"

Role = Literal["winner", "fallback", "contender"]

TOLERANCE: Mapping[Precision, float] = {"fp32": 1e-4, "bf16": 1e-2, "fp16": 1e-3, "int8": 1e-2}
"""Share of the largest golden answer by which a variant may differ from its own golden answers:
what another processor of the same extensions rounds differently, and no more."""

MEAN_TOLERANCE: Mapping[Precision, float] = {
    "fp32": 2e-5,
    "bf16": 1e-3,
    "fp16": 3e-4,
    "int8": 5e-4,
}
"""The same of the mean over the golden rows, for each output by itself. Measured on a network of
634 channels: the sign of any one of them moves the mean by 1.3e-3 or more, in either engine and
precision, while inputs rounded at the sixth digit move it by 2e-4 at most."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One artifact on its way into a bundle.

    Attributes:
        answers: its own raw outputs on the golden rows; None before it was asked.
        decision: why it is in.
        float_layers: what a repair left in floating point.
    """

    target: Target
    built: Built
    answers: Arrays | None = None
    role: Role = "winner"
    decision: str = ""
    float_layers: tuple[FloatLayer, ...] = ()

    @property
    def name(self) -> str:
        """Name of the variant."""
        return self.target.token.replace(":", "-").replace("+", "-")


def package(
    directory: Path,
    source: SourceModel,
    question: Question,
    evidence: Evidence,
    parts: Sequence[Part],
    provenance: Provenance,
) -> str:
    """Write a bundle of these parts, the winner first, and return its digest.

    Raises:
        StorageError: the disk is full or cannot be written; nothing is left behind.
        ConfigurationError: something that is not a bundle is there already.
    """
    own = {part.name: part.answers for part in parts if part.answers is not None}
    golden = golden_bytes(
        question.golden_rows, question.golden_answers, own, _results(source, question)
    )
    proof = encode_json(evidence)
    manifest = Manifest(
        model=source.described.model,
        profile=evidence.profile,
        io=_io(source),
        pre=source.described.pre,
        post=source.described.post,
        fused=source.fused,
        observe=question.observe,
        variants=tuple(_variant(part, question) for part in parts),
        golden=Golden(
            file=file_entry(GOLDEN_FILE, golden),
            rows=len(next(iter(question.golden_rows.values()))),
            source=question.golden_source,
        ),
        reference=question.reference,
        evidence=file_entry(EVIDENCE_FILE, proof),
        provenance=provenance,
    )
    files: dict[str, Path | bytes] = {GOLDEN_FILE: golden, EVIDENCE_FILE: proof}
    files |= source.vocabularies.files
    for part in parts:
        files |= {entry.path: part.built.directory / entry.path for entry in part.built.files}
    return write_bundle(directory, manifest, files)


def _results(source: SourceModel, question: Question) -> Arrays:
    """Return what callers get for the golden rows from the source model, where `post` has a say."""
    described = source.described
    if not described.post:
        return {}
    tensors = answered(described.pre, described.post, question.golden_rows, question.golden_answers)
    return {spec.name: tensors[spec.name] for spec in described.outputs}


def _io(source: SourceModel) -> Io:
    return Io(
        inputs=source.described.inputs,
        outputs=source.described.outputs,
        model_inputs=source.workload.inputs,
        model_outputs=source.workload.outputs,
    )


def _variant(part: Part, question: Question) -> Variant:
    artifact = part.built.artifact
    precision = part.target.precision
    expected = question.golden_answers if part.answers is None else part.answers
    largest = {name: _largest(answers) for name, answers in expected.items()}
    return Variant(
        name=part.name,
        target=part.target,
        entry=artifact.entry,
        files=part.built.files,
        engine_versions=artifact.engine_versions,
        isa=artifact.isa,
        settings=artifact.settings,
        role=part.role,
        decision=part.decision,
        tolerance=TOLERANCE[precision] * max(largest.values()),
        mean_tolerances={name: MEAN_TOLERANCE[precision] * size for name, size in largest.items()},
    )


def _largest(answers: NDArray[Any]) -> float:
    """Return the largest finite magnitude, 1 where there is none to compare with."""
    if answers.dtype.kind not in "fiu":
        return 1.0
    sizes = np.abs(answers[np.isfinite(answers)].astype(np.float64))
    return float(sizes.max(initial=0.0)) or 1.0
