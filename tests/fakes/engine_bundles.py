# SPDX-License-Identifier: Apache-2.0
"""Bundles with one small artifact of any engine, and the installation of the fake one."""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from insight_edge.bundle.golden import golden_bytes
from insight_edge.bundle.write import file_entry, write_bundle
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.evidence import Evidence
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import Golden, Io, Manifest, ModelInfo, Variant
from insight_edge.documents.target import Target
from insight_edge.documents.tensors import TensorSpec
from tests.fakes import engine
from tests.fakes.onnx_models import model_of, value
from tests.fakes.tensorrt_models import tensorrt_settings

COLUMNS, CLASSES, ROWS = 8, 4, 6

Array = NDArray[Any]
Files = dict[str, bytes]


def install_fake_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process and its children find the fake engine, as if a package had brought it."""
    metadata = folder / "fake_engine-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-engine\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        f"[insight_edge.engines]\n{engine.TOKEN} = {engine.__name__}:FakeEngine\n"
    )
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(root)]))
    monkeypatch.syspath_prepend(folder)


def weights_of(seed: int, columns: int = COLUMNS, classes: int = CLASSES) -> Array:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(columns, classes)).astype(np.float32)


def rows_of(seed: int, rows: int, columns: int = COLUMNS) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    return {
        "x": generator.normal(size=(rows, columns)).astype(np.float32),
        "shift": generator.normal(size=(rows, 1)).astype(np.float32),
    }


def fake_artifact(weights: Array) -> Files:
    stream = io.BytesIO()
    np.save(stream, weights)
    return {"weights.npy": stream.getvalue()}


def onnx_artifact(weights: Array) -> Files:
    columns, classes = weights.shape
    model = model_of(
        [
            helper.make_node("MatMul", ["x", "w"], ["product"]),
            helper.make_node("Add", ["product", "shift"], ["linear"]),
            helper.make_node("Relu", ["linear"], ["y"]),
            helper.make_node("ArgMax", ["linear"], ["top"], axis=1, keepdims=1),
        ],
        [value("x", ("batch", columns)), value("shift", ("batch", 1))],
        [value("y", ("batch", classes)), value("top", ("batch", 1), kind=7)],
        {"w": weights},
    )
    return {"model.onnx": model.SerializeToString()}


def write_engine_bundle(
    directory: Path,
    token: str,
    artifact: Files,
    weights: Array,
    *,
    batch: int | str = "batch",
    also: Sequence[str] = (),
    dtypes: Mapping[str, str] | None = None,
    profile: str = "test",
    **changes: Any,
) -> None:
    """Write a bundle whose artifact has some weights and is of one engine.

    Args:
        directory: where it is to lie.
        token: of the engine.
        artifact: files by name, the entry first.
        weights: of the source model, which gives the golden answers.
        batch: first dimension of inputs and outputs.
        dtypes: of outputs, as the manifest and the golden answers have them.
        profile: that it is for.
        also: names of further variants with the same artifact.
        changes: fields of the variants.
    """
    inputs = rows_of(0, ROWS, len(weights))
    outputs = {
        name: array.astype((dtypes or {}).get(name, array.dtype))
        for name, array in engine.answers(inputs, weights).items()
    }
    files = artifact | {
        "golden.npz": golden_bytes(inputs, outputs),
        "evidence.json": encode_json(_evidence()),
    }
    entries = {name: file_entry(name, data) for name, data in files.items()}
    entry = next(iter(artifact))
    fields: dict[str, Any] = {
        "target": Target(backend=token, precision="fp32"),
        "entry": entry,
        "files": tuple(entries[name] for name in artifact),
        "tolerance": 1e-4,
    }
    if token == "tensorrt":
        fields["settings"] = tensorrt_settings()
    taken, given = _specs(inputs, batch), _specs(outputs, batch)
    manifest = Manifest(
        model=ModelInfo(name="small", digest=digest(files[entry])),
        profile=profile,
        io=Io(inputs=taken, outputs=given, model_inputs=taken, model_outputs=given),
        variants=tuple(Variant(name=name, **fields | changes) for name in (f"{token}-fp32", *also)),
        golden=Golden(file=entries["golden.npz"], rows=ROWS, source="data"),
        evidence=entries["evidence.json"],
    )
    write_bundle(directory, manifest, files)


def write_fake_bundle(directory: Path, settings: Mapping[str, str] | None = None) -> None:
    """Write a bundle of the fake engine, told how to misbehave."""
    weights = weights_of(0)
    write_engine_bundle(
        directory, engine.TOKEN, fake_artifact(weights), weights, settings=dict(settings or {})
    )


def _specs(arrays: Mapping[str, Array], batch: int | str) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=name, dtype=array.dtype.name, shape=(batch, *array.shape[1:]))
        for name, array in arrays.items()
    )


def _evidence() -> Evidence:
    return Evidence(
        model_digest="sha256:0",
        profile="test",
        measured_on=Facts(
            arch="x86_64", cpu_model="fake", isa=(), cores=1, memory_bytes=1, os="linux"
        ),
        trials=(),
        created="2026-01-01T00:00:00Z",
    )
