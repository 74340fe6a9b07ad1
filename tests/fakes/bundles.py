# SPDX-License-Identifier: Apache-2.0
"""A small bundle to hold right or to damage: one variant that no engine would load."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.golden import golden_bytes
from insight_edge.bundle.write import file_entry, write_bundle
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.evidence import Evidence
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import FileEntry, Golden, Io, Manifest, ModelInfo, Variant
from insight_edge.documents.target import Target
from insight_edge.documents.tensors import TensorSpec

ARTIFACT, GOLDEN, EVIDENCE = "model.onnx", "golden.npz", "evidence.json"
ROWS = 2

IO = Io(
    inputs=(TensorSpec(name="x", dtype="float32", shape=("batch", 3)),),
    outputs=(TensorSpec(name="y", dtype="float32", shape=("batch", 2)),),
    model_inputs=(TensorSpec(name="x", dtype="float32", shape=("batch", 3)),),
    model_outputs=(TensorSpec(name="y", dtype="float32", shape=("batch", 2)),),
)


def golden_inputs() -> dict[str, NDArray[Any]]:
    return {"x": np.arange(ROWS * 3, dtype=np.float32).reshape(ROWS, 3)}


def golden_outputs() -> dict[str, NDArray[Any]]:
    return {"y": np.arange(ROWS * 2, dtype=np.float32).reshape(ROWS, 2)}


def bundle_files(artifact: bytes = b"weights") -> dict[str, bytes]:
    evidence = Evidence(
        model_digest=digest(artifact),
        profile="bench",
        measured_on=Facts(
            arch="x86_64", cpu_model="fake", isa=(), cores=1, memory_bytes=1, os="linux"
        ),
        trials=(),
        created="2026-01-01T00:00:00Z",
    )
    return {
        ARTIFACT: artifact,
        GOLDEN: golden_bytes(golden_inputs(), golden_outputs()),
        EVIDENCE: encode_json(evidence),
    }


def bundle_manifest(files: Mapping[str, bytes]) -> Manifest:
    """Return the manifest of these files; those beside the three belong to the variant."""
    entries = {name: file_entry(name, data) for name, data in files.items()}
    own = tuple(entry for name, entry in entries.items() if name not in {GOLDEN, EVIDENCE})
    return Manifest(
        model=ModelInfo(name="fake", digest=digest(files[ARTIFACT])),
        profile="bench",
        io=IO,
        variants=(bundle_variant("fp32", own),),
        golden=Golden(file=entries[GOLDEN], rows=ROWS, source="data"),
        evidence=entries[EVIDENCE],
    )


def bundle_variant(name: str, files: tuple[FileEntry, ...], entry: str = ARTIFACT) -> Variant:
    return Variant(
        name=name,
        target=Target(backend="onnxruntime", precision="fp32"),
        entry=entry,
        files=files,
        tolerance=0.5,
    )


def write_small_bundle(directory: Path, artifact: bytes = b"weights") -> str:
    """Write a whole small bundle and return its digest; other bytes, other bundle."""
    files = bundle_files(artifact)
    return write_bundle(directory, bundle_manifest(files), files)
