# SPDX-License-Identifier: Apache-2.0
"""Which files a manifest names, and whether it may: pure, the same for reader and writer."""

import re
from collections.abc import Iterator
from typing import Final

from insight_edge.bundle.limits import FILE_NAME, MANIFEST_NAME, Limits
from insight_edge.documents.manifest import FileEntry, Manifest, Variant
from insight_edge.documents.steps import Tokenize
from insight_edge.errors import DocumentError, LimitExceededError

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def contents(manifest: Manifest, limits: Limits) -> dict[str, FileEntry]:
    """Return every file that the manifest names, by name.

    Variants may share a file if they agree on it.

    Raises:
        LimitExceededError: more or larger files than `limits` allow.
        DocumentError: a name is not flat, an entry is malformed or there twice, a variant does
            not name its own artifact, or two variants have one name.
    """
    _refuse_variants(manifest.variants)
    files: dict[str, FileEntry] = {}
    for entry in _entries(manifest):
        _refuse_entry(entry, limits)
        if files.setdefault(entry.path, entry) != entry:
            raise DocumentError(f"manifest: two files are called '{entry.path}'")
    _refuse_length(manifest.golden.file, limits.max_golden_bytes)
    for entry in _vocabularies(manifest):
        _refuse_length(entry, limits.max_vocabulary_bytes)
    _refuse_length(manifest.evidence, limits.max_evidence_bytes)
    if len(files) > limits.max_files:
        raise LimitExceededError(f"manifest: {len(files)} files, at most {limits.max_files}")
    total_bytes = sum(entry.length_bytes for entry in files.values())
    if total_bytes > limits.max_total_bytes:
        raise LimitExceededError(
            f"manifest: {total_bytes} bytes in all, at most {limits.max_total_bytes}"
        )
    return files


def _entries(manifest: Manifest) -> Iterator[FileEntry]:
    for variant in manifest.variants:
        yield from variant.files
    yield from _vocabularies(manifest)
    yield manifest.golden.file
    yield manifest.evidence


def vocabularies(manifest: Manifest) -> dict[str, FileEntry]:
    """Return the files that steps read, by name.

    Raises:
        DocumentError: a step that tokenizes names none.
    """
    return {entry.path: entry for entry in _vocabularies(manifest)}


def _vocabularies(manifest: Manifest) -> Iterator[FileEntry]:
    for step in manifest.pre:
        if isinstance(step, Tokenize):
            if step.vocabulary is None:
                raise DocumentError("manifest: a step that tokenizes names no vocabulary")
            yield step.vocabulary


def _refuse_variants(variants: tuple[Variant, ...]) -> None:
    if not variants:
        raise DocumentError("manifest: there is no variant")
    if variants[0].role == "contender":
        raise DocumentError("manifest: no variant serves, the first is a contender")
    if len({variant.name for variant in variants}) < len(variants):
        raise DocumentError("manifest: two variants have one name")
    for variant in variants:
        paths = [entry.path for entry in variant.files]
        if len(set(paths)) < len(paths):
            raise DocumentError(f"manifest: variant '{variant.name}' names a file twice")
        if variant.entry not in paths:
            raise DocumentError(
                f"manifest: variant '{variant.name}' does not have its entry '{variant.entry}'"
            )


def _refuse_entry(entry: FileEntry, limits: Limits) -> None:
    if not FILE_NAME.fullmatch(entry.path) or entry.path == MANIFEST_NAME:
        raise DocumentError(
            f"manifest: {entry.path[:120]!r} is not a file name",
            hint="1 to 100 of A-Z a-z 0-9 . _ -, without a leading dot",
        )
    if not _SHA256.fullmatch(entry.sha256):
        raise DocumentError(f"manifest: sha256 of '{entry.path}' is not 64 hexadecimal digits")
    if entry.length_bytes < 0:
        raise DocumentError(f"manifest: length of '{entry.path}' is negative")
    _refuse_length(entry, limits.max_file_bytes)


def _refuse_length(entry: FileEntry, max_bytes: int) -> None:
    if entry.length_bytes > max_bytes:
        raise LimitExceededError(
            f"manifest: '{entry.path}' is {entry.length_bytes} bytes, at most {max_bytes}"
        )
