# SPDX-License-Identifier: Apache-2.0
"""Read any model file: the public side of the importer seam."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from insight_edge.compile.plugins.discovery import importers
from insight_edge.compile.plugins.seam import Importer
from insight_edge.compile.sources.calling import by_rows
from insight_edge.compile.sources.declared import declare, read_declaration
from insight_edge.compile.sources.source import (
    SourceModel,
    describe,
    description_path,
    read_description,
)
from insight_edge.compile.sources.vocabularies import (
    declared_vocabularies,
    described_vocabularies,
)
from insight_edge.documents.facts import Missing
from insight_edge.documents.source import SourceDescription
from insight_edge.errors import InsightEdgeError, ModelError, ToolchainMissingError


def read_source(
    path: Path, *, trust_pickle: bool = False, transforms: Path | None = None
) -> SourceModel:
    """Return the source model in a file, with the description beside it if there is one.

    A model that takes no rows is made one that takes a whole call as a row.

    Args:
        path: of the model, a file or a directory; the first importer that accepts it reads it.
        trust_pickle: let code in the file run, where its format can carry code.
        transforms: TOML file that declares the steps around a model without a description.

    Raises:
        ModelError: no such file, nothing reads it, it must not be compiled, or the declared
            steps do not fit it.
        ConfigurationError: what is declared cannot be read.
        DocumentError: the description beside it, or what is declared, is malformed.
        ToolchainMissingError: what reads this format is not installed.
    """
    if not path.is_file() and not path.is_dir():
        raise ModelError(f"{path}: no such file")
    source = _import(_importer(path), path, trust_pickle=trust_pickle)
    with _named(path):
        source = by_rows(source)
    description = _description(path)
    if description is not None:
        vocabularies = described_vocabularies(description.pre, path.parent)
        source = describe(replace(source, vocabularies=vocabularies), description)
    if transforms is None:
        return source
    declared = read_declaration(transforms)
    declared, vocabularies = declared_vocabularies(declared, transforms.parent)
    with _named(path):
        return declare(replace(source, vocabularies=vocabularies), declared)


def is_model(path: Path) -> bool:
    """Return whether an importer reads a file or a directory, by cheap signs."""
    return (path.is_file() or path.is_dir()) and _accepting(path) is not None


def _description(path: Path) -> SourceDescription | None:
    """Return the description beside a model, unless that is a model itself (XGBoost's JSON)."""
    return None if _accepting(description_path(path)) else read_description(path)


def _accepting(path: Path) -> Importer | None:
    for importer in importers().values():
        if not isinstance(importer, Missing) and importer.accepts(path):
            return importer
    return None


def _importer(path: Path) -> Importer:
    importer = _accepting(path)
    if importer is not None:
        return importer
    found = importers()
    lost = [f"{m.name} ({m.reason})" for m in found.values() if isinstance(m, Missing)]
    raise ModelError(
        f"{path.name}: nothing here reads "
        + ("this directory" if path.is_dir() else f"'{path.suffix}' files"),
        hint="export the model to ONNX" + (f"; not loaded: {', '.join(lost)}" if lost else ""),
    )


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say of what is wrong with a model in which file it is."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{path.name}: {error}", hint=error.hint) from error


def _import(importer: Importer, path: Path, *, trust_pickle: bool) -> SourceModel:
    try:
        with _named(path):
            return importer.read(path, trust_pickle=trust_pickle)
    except InsightEdgeError:
        raise
    except ImportError as error:
        raise ToolchainMissingError(
            f"{path.name}: cannot be read without {error.name}",
            hint="pip install 'insight-edge[compile]'",
        ) from error
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise ModelError(
            f"{path.name}: could not be read: {type(error).__name__}: {lines[0]}"
        ) from error
