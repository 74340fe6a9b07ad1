# SPDX-License-Identifier: Apache-2.0
"""Bundles whose artifact is one matrix, and the engine that multiplies by it.

Enough to tell bundles apart by their answers: every bundle's matrix is its tag.
"""

import io
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from insight_edge.bundle.golden import golden_bytes
from insight_edge.bundle.open import Bundle
from insight_edge.bundle.write import file_entry, write_bundle
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.evidence import Evidence
from insight_edge.documents.facts import EngineFacts, Facts
from insight_edge.documents.manifest import (
    Golden,
    Io,
    Manifest,
    ModelInfo,
    Reference,
    Variant,
)
from insight_edge.documents.statistics import document_from_grid, document_from_summary
from insight_edge.documents.steps import Feature, Observe
from insight_edge.documents.target import Target
from insight_edge.documents.tensors import TensorSpec
from insight_edge.runtime import loading
from insight_edge.stats.grid import grid_from_rows
from insight_edge.stats.tally import Tally

COLUMNS, CLASSES = 8, 4
ARTIFACT = "matrix.bin"
COMPUTE_S = 2e-5
"""Like a real engine, it lets other threads have the interpreter while it computes."""
TOKEN = "matrix"

Array = NDArray[Any]


@dataclass
class MatrixEngine:
    """Multiplies; can be told to fail, and to hold callers until a gate opens.

    Attributes:
        inside: released once for every call that has begun.
        gate: calls wait here; open from the start.
        live: sessions that are not closed.
        spoil: given a session's matrix and the input, returns another answer, or None for the
            right one; it may raise and wait.
    """

    inside: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    gate: threading.Event = field(default_factory=threading.Event)
    failing: bool = False
    live: int = 0
    used_after_close: int = 0
    spoil: Callable[[Array, Array], Array | None] = lambda *_: None

    def __post_init__(self) -> None:
        self.gate.set()

    def facts(self) -> EngineFacts:
        return EngineFacts(name=TOKEN, version="1.0")

    def load(self, bundle: Bundle, variant: Variant, *, threads: int) -> "MatrixSession":
        del threads
        session = MatrixSession(self, np.load(bundle.file(variant.entry)))
        self.live += 1
        return session


class MatrixSession:
    """One loaded matrix."""

    def __init__(self, engine: MatrixEngine, matrix: Array) -> None:
        self._engine, self._matrix, self._closed = engine, matrix, False

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self._engine.inside.release()
        self._engine.gate.wait()
        time.sleep(COMPUTE_S)
        if self._closed:
            self._engine.used_after_close += 1
        if self._engine.failing:
            raise ArithmeticError("planted")
        spoilt = self._engine.spoil(self._matrix, inputs["x"])
        return {"y": inputs["x"] @ self._matrix if spoilt is None else spoilt}

    def close(self) -> None:
        self._closed = True
        self._engine.live -= 1


def tagged_matrix(tag: float) -> Array:
    """Return a matrix whose answers to a row of ones are all `tag`."""
    return np.full((COLUMNS, CLASSES), tag / COLUMNS, np.float32)


def random_matrix(seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=(COLUMNS, CLASSES)).astype(np.float32)


def one_row(value: float = 1.0) -> dict[str, Array]:
    return {"x": np.full((1, COLUMNS), value, np.float32)}


def golden_rows() -> Array:
    """Return what the model is fed for the golden samples."""
    return np.random.default_rng(1).normal(size=(6, COLUMNS)).astype(np.float32)


def matrix_reference(rows: int = 500) -> Reference:
    """Return the reference of standard normal inputs, and of outputs of that kind."""
    names = [*(f"x{i}" for i in range(COLUMNS)), "y.max"]
    values = np.random.default_rng(0).normal(size=(rows, len(names)))
    grid = grid_from_rows(names, values)
    tally = Tally(grid)
    tally.observe(values)
    return Reference(
        grid=document_from_grid(grid), summary=document_from_summary(tally.summary()), rows=rows
    )


def matrix_observe() -> Observe:
    return Observe(
        inputs=tuple(
            Feature(name=f"x{i}", tensor="x", measure="value", index=i) for i in range(COLUMNS)
        ),
        outputs=(Feature(name="y.max", tensor="y", measure="max"),),
    )


def write_matrix_bundle(
    directory: Path,
    matrix: Array,
    *,
    answers_of: Array | None = None,
    backend: str = TOKEN,
    artifact: bytes | None = None,
    batch: int | str = "batch",
    golden_inputs: dict[str, Array] | None = None,
    **changes: Any,
) -> str:
    """Write a bundle and return its digest.

    Args:
        directory: where it is to lie.
        matrix: the artifact.
        backend: token of the engine that it asks for.
        artifact: the same for another engine than this one.
        answers_of: the matrix of the source model, where the artifact is to differ from it.
        golden_inputs: what callers pass for the golden rows, where `pre` makes `x` of it.
        batch: first dimension of the inputs and outputs.
        changes: fields of the manifest to replace.
    """
    source = matrix if answers_of is None else answers_of
    rows = golden_rows()
    x = TensorSpec(name="x", dtype="float32", shape=(batch, COLUMNS))
    y = TensorSpec(name="y", dtype="float32", shape=(batch, CLASSES))
    files = {
        ARTIFACT: artifact or _npy(matrix),
        "golden.npz": golden_bytes(golden_inputs or {"x": rows}, {"y": rows @ source}),
        "evidence.json": encode_json(_evidence()),
    }
    entries = {name: file_entry(name, data) for name, data in files.items()}
    fields: dict[str, Any] = {
        "model": ModelInfo(name="matrix", digest=digest(files[ARTIFACT])),
        "profile": "test",
        "io": Io(inputs=(x,), outputs=(y,), model_inputs=(x,), model_outputs=(y,)),
        "variants": (
            Variant(
                name=f"{backend}-fp32",
                target=Target(backend=backend, precision="fp32"),
                entry=ARTIFACT,
                files=(entries[ARTIFACT],),
                tolerance=1e-4,
            ),
        ),
        "golden": Golden(file=entries["golden.npz"], rows=len(rows), source="data"),
        "evidence": entries["evidence.json"],
        "observe": matrix_observe(),
        "reference": matrix_reference(),
    }
    return write_bundle(directory, Manifest(**fields | changes), files)


def _npy(matrix: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, matrix)
    return stream.getvalue()


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


def install(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    """Make a fresh matrix engine the only one on this machine, and return it."""
    engine = MatrixEngine()
    monkeypatch.setattr(loading, "engines", lambda *_: {TOKEN: engine})
    return engine
