# SPDX-License-Identifier: Apache-2.0
"""The description of a bare model from the steps that somebody declared in a TOML file."""

from pathlib import Path

import msgspec

from insight_edge.compile.sources.source import SourceModel, describe
from insight_edge.documents.codec import decode_toml
from insight_edge.documents.declaration import Declaration
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.source import SourceDescription
from insight_edge.documents.steps import AnyStep, Label
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, LimitExceededError, ModelError
from insight_edge.transforms.executor import infer_specs

MAX_DECLARATION_BYTES = 4 * 2**20
"""Of the file and of the one with the classes; a hundred thousand names are less."""


def read_declaration(path: Path) -> Declaration:
    """Return the declaration in a TOML file, with the classes of its file.

    Raises:
        ConfigurationError: a file cannot be read, or classes are named twice over.
        DocumentError: not TOML, a key or a step that does not exist, or a value that is wrong.
    """
    declared = decode_toml(Declaration, _read(path))
    if not declared.classes_file:
        return declared
    if declared.classes:
        raise ConfigurationError(f"{path}: has both `classes` and `classes_file`")
    lines = _read(path.parent / declared.classes_file).decode(errors="replace").splitlines()
    return msgspec.structs.replace(declared, classes=tuple(line.strip() for line in lines if line))


def declare(source: SourceModel, declared: Declaration) -> SourceModel:
    """Return the source model with the description that follows from a declaration.

    Raises:
        ModelError: it has a description of its own, or the steps do not lead from the caller's
            tensors to the model's and back; the step is named.
    """
    if source.description is not None:
        raise ModelError(
            "the steps around this model are declared in the description beside it",
            hint="change them there, or move the description away",
        )
    try:
        described = _description(source, declared)
    except ConfigurationError as error:
        raise ModelError(f"the declared steps do not fit: {error}", hint=error.hint) from error
    return describe(source, described)


def _description(source: SourceModel, declared: Declaration) -> SourceDescription:
    inputs = declared.inputs or source.workload.inputs
    post = tuple(_named(step, declared.classes) for step in declared.post)
    known = infer_specs(declared.pre, inputs)
    made = {spec.name: spec for spec in infer_specs(post, (*known, *source.workload.outputs))}
    names = declared.outputs or _unread(post, source.workload.outputs)
    for name in names:
        if name not in made:
            raise ConfigurationError(
                f"there is no output '{name}'", hint=f"tensors: {', '.join(made)}"
            )
    info = ModelInfo(
        name=source.name, digest=source.digest, task=declared.task, classes=declared.classes
    )
    return SourceDescription(
        model=info,
        inputs=inputs,
        outputs=tuple(made[name] for name in names),
        pre=declared.pre,
        post=post,
    )


def _named(step: AnyStep, classes: tuple[str, ...]) -> AnyStep:
    if isinstance(step, Label) and not step.classes:
        return msgspec.structs.replace(step, classes=classes)
    return step


def _unread(post: tuple[AnyStep, ...], answers: tuple[TensorSpec, ...]) -> tuple[str, ...]:
    """Return what is left in the end, in order: answers and results that no later step reads."""
    left = dict.fromkeys(spec.name for spec in answers)
    for step in post:
        for name in step.reads:
            left.pop(name, None)
        left |= dict.fromkeys(step.writes)
    return tuple(left)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_DECLARATION_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if len(data) > MAX_DECLARATION_BYTES:
        raise LimitExceededError(f"{path}: longer than {MAX_DECLARATION_BYTES} bytes")
    return data
