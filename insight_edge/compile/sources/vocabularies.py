# SPDX-License-Identifier: Apache-2.0
"""The vocabularies of a model's steps: from the files beside it to the files of its bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from insight_edge.bundle.limits import Limits
from insight_edge.bundle.write import file_entry
from insight_edge.compile.sources.tokenizer_file import (
    MAX_TOKENIZER_BYTES,
    vocabulary_from_tokenizer,
)
from insight_edge.documents.codec import digest as digest_of
from insight_edge.documents.codec import encode_json
from insight_edge.documents.declaration import Declaration
from insight_edge.documents.file_entry import FileEntry
from insight_edge.documents.steps import AnyStep, Tokenize
from insight_edge.errors import (
    ConfigurationError,
    DigestMismatchError,
    InputError,
    LimitExceededError,
)
from insight_edge.transforms.tokenizer import Tokenizer
from insight_edge.transforms.vocabulary import check, held


@dataclass(frozen=True, kw_only=True)
class Vocabularies:
    """What travels with the steps of a model.

    Attributes:
        files: of the bundle, by name.
        tokenizers: that steps find as long as these are kept.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    tokenizers: tuple[Tokenizer, ...] = ()


def declared_vocabularies(declared: Declaration, folder: Path) -> tuple[Declaration, Vocabularies]:
    """Return the declaration with its steps' vocabularies named, and these.

    Args:
        declared: whose steps name a `tokenizer.json` each.
        folder: in which those files are.

    Raises:
        ConfigurationError: a file cannot be read, or a step names none.
        DocumentError: it is not a tokenizer that is understood, or cannot be used.
    """
    files: dict[str, bytes] = {}
    steps = tuple(_named(step, folder, files) for step in declared.pre)
    if any(isinstance(step, Tokenize) for step in declared.post):
        raise ConfigurationError("a step behind the model tokenizes")
    return msgspec.structs.replace(declared, pre=steps), _kept(steps, files)


def described_vocabularies(steps: Sequence[AnyStep], folder: Path) -> Vocabularies:
    """Return the vocabularies that the steps of a description name, which lie beside it.

    Raises:
        ConfigurationError: a file cannot be read.
        DigestMismatchError, DocumentError: it is not the one that a step names, or damaged.
    """
    most = Limits().max_vocabulary_bytes
    named = [step.vocabulary for step in steps if isinstance(step, Tokenize) and step.vocabulary]
    # The name is as it would be in a bundle: a flat one.
    files = {entry.path: _read(folder / Path(entry.path).name, most) for entry in named}
    for entry in named:
        if file_entry(entry.path, files[entry.path]) != entry:
            raise DigestMismatchError(f"{folder / entry.path}: not the file that a step names")
    return _kept(steps, files)


def _kept(steps: Sequence[AnyStep], files: Mapping[str, bytes]) -> Vocabularies:
    def read(entry: FileEntry) -> bytes:
        return files[entry.path]

    return Vocabularies(files=files, tokenizers=held(steps, read))


def _named(step: AnyStep, folder: Path, files: dict[str, bytes]) -> AnyStep:
    if not isinstance(step, Tokenize):
        return step
    if not step.tokenizer or step.vocabulary is not None:
        raise ConfigurationError(
            "a step that tokenizes names no file", hint='tokenizer = "tokenizer.json"'
        )
    path = folder / step.tokenizer
    try:
        vocabulary = vocabulary_from_tokenizer(_read(path, MAX_TOKENIZER_BYTES), pad=step.pad)
        check(vocabulary)
    except InputError as error:
        if isinstance(error, ConfigurationError):
            raise
        raise type(error)(f"{path}: {error}", hint=error.hint) from error
    data = encode_json(vocabulary)
    entry = file_entry(f"vocabulary-{digest_of(data)[7:19]}.json", data)
    files[entry.path] = data
    return msgspec.structs.replace(step, vocabulary=entry, tokenizer="", pad="")


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if len(data) > most:
        raise LimitExceededError(f"{path}: longer than {most} bytes")
    return data
