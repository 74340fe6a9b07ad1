# SPDX-License-Identifier: Apache-2.0
"""The manifest: what is in a bundle and what it promises.

It is the one signed thing: everything else in the bundle is named here by
digest. This module does not open bundles (`bundle.open` does).
"""

from typing import Literal

from insight_edge.documents.codec import Document, Versioned
from insight_edge.documents.counted import GridDocument, SummaryDocument
from insight_edge.documents.file_entry import FileEntry
from insight_edge.documents.steps import AnyStep, Observe
from insight_edge.documents.target import Target
from insight_edge.documents.tensors import TensorSpec

__all__ = [
    "NUMERIC_TASKS",
    "FileEntry",
    "Golden",
    "GoldenSource",
    "Io",
    "Manifest",
    "ModelInfo",
    "Provenance",
    "Reference",
    "Variant",
    "ranks_classes",
]

NUMERIC_TASKS = ("regression", "forecasting", "estimation", "extraction", "embedding")
"""How names of tasks end whose answers are numbers: a row of them has no class."""


class ModelInfo(Document, frozen=True, kw_only=True):
    """Which model this is.

    Attributes:
        version: grows by one a training; 0 for a model that no registry knows.
        digest: of the source ONNX.
        task: e.g. `image-classification`; `unspecified` for a bare ONNX.
    """

    name: str
    version: int = 0
    digest: str
    task: str = "unspecified"
    classes: tuple[str, ...] = ()


class Io(Document, frozen=True, kw_only=True):
    """Both faces of the bundle.

    Attributes:
        inputs, outputs: what callers of `infer` pass and receive.
        model_inputs, model_outputs: what the artifact is fed and answers, between `pre` and
            `post`.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    model_inputs: tuple[TensorSpec, ...]
    model_outputs: tuple[TensorSpec, ...]


class Variant(Document, frozen=True, kw_only=True):
    """One artifact of the bundle and what it runs on.

    Attributes:
        name: unique in the bundle, e.g. `openvino-int8`.
        entry: path of the file that the engine is pointed at.
        engine_versions: a requirement on the engine, e.g. `>=1.22,<2`.
        isa: CPU extensions it must have.
        settings: what the engine is configured with (precision hint), plain strings.
        role: `winner`, the FP32 `fallback`, or a `contender`, which waits for a device to time it
            and never serves.
        decision: one sentence that says why it is here.
        tolerance: largest absolute difference of a model output from its golden answers.
        mean_tolerances: by model output, the largest mean absolute difference from them; an
            output that is not here has no such bound.
    """

    name: str
    target: Target
    entry: str
    files: tuple[FileEntry, ...]
    engine_versions: str = ""
    isa: tuple[str, ...] = ()
    settings: dict[str, str] = {}
    role: Literal["winner", "fallback", "contender"] = "winner"
    decision: str = ""
    tolerance: float
    mean_tolerances: dict[str, float] = {}


GoldenSource = Literal["data", "example", "random"]


class Golden(Document, frozen=True, kw_only=True):
    """A few inputs and the answers to them, kept in an .npz of plain arrays.

    Attributes:
        file: holds `input.<name>` (as callers pass them), `output.<name>` (raw outputs of the
            source model) and `variant.<variant>.<name>` (of a variant, as it was proven).
        rows: how many.
        source: `data` where they are real rows, `example` where the model's file carries
            the first of them, `random` where only shape and dtype are right.
    """

    file: FileEntry
    rows: int
    source: GoldenSource


class Reference(Document, frozen=True, kw_only=True):
    """The bin grid, and the training inputs and outputs counted over it."""

    grid: GridDocument
    summary: SummaryDocument
    rows: int


class Provenance(Document, frozen=True, kw_only=True):
    """How the bundle came to be.

    Attributes:
        toolchain: package versions of the build environment.
        lock_digests: by engine token, of the lock its device environment was made from.
        toolchain_locks: by engine token, of the lock its artifacts were built in; those that were
            built in the workshop's own environment have none.
        code_digests: by engine token, of the code of this project that built its artifacts.
        release: of insight-edge.
        importer: that read the source file.
        source_digest: of the file that was handed in; `model.digest` is of the ONNX made of it.
            Empty where that was a directory.
        calibration_digest: of the model inputs that scales were taken from; empty without any.
        processor: architecture and model of the machine that built.
        reproduce: the command that makes this bundle again.
        created: ISO time.
    """

    toolchain: dict[str, str] = {}
    lock_digests: dict[str, str] = {}
    toolchain_locks: dict[str, str] = {}
    code_digests: dict[str, str] = {}
    release: str = ""
    importer: str = ""
    source_digest: str = ""
    calibration_digest: str = ""
    processor: str = ""
    reproduce: str = ""
    created: str = ""


class Manifest(Versioned, frozen=True, kw_only=True):
    """What is in a bundle and what it promises.

    Attributes:
        profile: id of the hardware profile it was built for.
        pre, post: steps from the caller's inputs to the model's and back; possibly empty.
        fused: steps after `pre` that the artifacts do themselves.
        variants: the winner first, contenders last.
        reference: absent for a bare ONNX without calibration data.
        evidence: the file that holds the trials.
    """

    model: ModelInfo
    profile: str
    io: Io
    pre: tuple[AnyStep, ...] = ()
    post: tuple[AnyStep, ...] = ()
    fused: tuple[AnyStep, ...] = ()
    observe: Observe = Observe()
    variants: tuple[Variant, ...]
    golden: Golden
    reference: Reference | None = None
    evidence: FileEntry
    provenance: Provenance = Provenance()


def ranks_classes(task: str) -> bool:
    """Return whether (n, k) numbers are scores of classes, judging by the name of the task."""
    return not task.endswith(NUMERIC_TASKS)
