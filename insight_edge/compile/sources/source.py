# SPDX-License-Identifier: Apache-2.0
"""A source model: checked ONNX, what it asks of hardware, and the description beside it.

Importers make one from a framework's file with `source_from_onnx`; which importer
does is for `reading` to say. It compiles nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.sources.vocabularies import Vocabularies
from insight_edge.documents.codec import MAX_DOCUMENT_BYTES, decode_json, digest
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.source import SourceDescription
from insight_edge.documents.steps import AnyStep
from insight_edge.documents.tensors import TensorSpec
from insight_edge.documents.workload import Workload
from insight_edge.errors import ConfigurationError, DocumentError, InsightEdgeError, ModelError
from insight_edge.transforms.executor import infer_specs


@dataclass(frozen=True, kw_only=True)
class Original:
    """The file that a source model was converted from, for backends that ship it as it is.

    Attributes:
        form: of the file, by the token of the importer that knows it.
    """

    form: str
    data: bytes

    @property
    def digest(self) -> str:
        """Content digest of the file."""
        return digest(self.data)


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """The FP32 original that every artifact is compiled from and compared with.

    Attributes:
        name: of the file, without its suffix.
        data: the ONNX file's bytes; `workload.model_digest` is their digest.
        importer: token of the importer that made it.
        description: what training wrote beside it; None for a bare model.
        original: the file itself, where a backend can take it; it answers as the ONNX does.
        fused: steps that were put into the graph, so that its digest is not the description's.
        vocabularies: of the description's steps.
        examples: rows of its inputs that the file carries, by name; none where it does not.
    """

    name: str
    data: bytes
    workload: Workload
    importer: str
    description: SourceDescription | None = None
    original: Original | None = None
    fused: tuple[AnyStep, ...] = ()
    vocabularies: Vocabularies = field(default_factory=Vocabularies, compare=False)
    examples: Mapping[str, NDArray[np.generic]] = field(default_factory=dict, compare=False)

    @property
    def digest(self) -> str:
        """Content digest of the ONNX."""
        return self.workload.model_digest

    @property
    def described(self) -> SourceDescription:
        """The description, or the least that can be said of a bare model."""
        return self.description or SourceDescription(
            model=ModelInfo(name=self.name, digest=self.digest),
            inputs=self.workload.inputs,
            outputs=self.workload.outputs,
        )


def source_from_onnx(data: bytes, *, name: str, importer: str) -> SourceModel:
    """Return the source model in an ONNX file's bytes.

    Raises:
        ModelError: not ONNX, or ONNX that must not be compiled; the first thing wrong is named.
    """
    # The onnx package is needed from here on; planning and --help do without it.
    from insight_edge.compile.graph.check import model_from_bytes
    from insight_edge.compile.graph.workload import workload_from_onnx

    try:
        workload = workload_from_onnx(model_from_bytes(data), digest(data))
    except InsightEdgeError:
        raise
    except Exception as error:
        # Whatever a hostile graph makes of code that believes what onnx's checker let pass.
        lines = str(error).strip().splitlines() or [""]
        raise ModelError(f"not valid ONNX: {type(error).__name__}: {lines[0]}") from error
    return SourceModel(name=name, data=data, workload=workload, importer=importer)


def describe(source: SourceModel, description: SourceDescription) -> SourceModel:
    """Return the source model with its description.

    Raises:
        ModelError: it describes another model, or its steps do not lead from the caller's
            tensors to the model's and back.
    """
    if description.model.digest != source.digest:
        raise ModelError(
            f"the description is of model {description.model.digest[:19]}, "
            f"this one is {source.digest[:19]}",
            hint="export the model and its description together",
        )
    try:
        _check_face(source, description)
    except ConfigurationError as error:
        raise ModelError(f"the description does not fit: {error}", hint=error.hint) from error
    return replace(source, description=description)


def description_path(path: Path) -> Path:
    """Return where the description of a model file lies: `model.json` beside `model.onnx`."""
    return path.with_suffix(".json")


def read_description(path: Path) -> SourceDescription | None:
    """Return the description beside a model file, or None where there is none.

    Raises:
        DocumentError: it is there and malformed.
    """
    place = description_path(path)
    try:
        with place.open("rb") as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DocumentError(f"{place}: {error.strerror}") from error
    return decode_json(SourceDescription, data)


def _check_face(source: SourceModel, description: SourceDescription) -> None:
    fed = infer_specs(description.pre, description.inputs)
    _check_holds("input", fed, source.workload.inputs)
    answered = infer_specs(description.post, (*fed, *source.workload.outputs))
    _check_holds("output", answered, description.outputs)


def _check_holds(kind: str, found: tuple[TensorSpec, ...], wanted: tuple[TensorSpec, ...]) -> None:
    by_name = {spec.name: spec for spec in found}
    for spec in wanted:
        given = by_name.get(spec.name)
        if given is None or not _compatible(given, spec):
            have = "nothing" if given is None else f"{given.dtype} {list(given.shape)}"
            raise ConfigurationError(
                f"its steps give {have} for {kind} '{spec.name}', "
                f"expected {spec.dtype} {list(spec.shape)}"
            )


def _compatible(given: TensorSpec, wanted: TensorSpec) -> bool:
    """Return whether one may stand for the other; a symbolic dimension fits any."""
    sizes = zip(given.shape, wanted.shape, strict=False)
    return (
        given.dtype == wanted.dtype
        and len(given.shape) == len(wanted.shape)
        and all(a == b or isinstance(a, str) or isinstance(b, str) for a, b in sizes)
    )
