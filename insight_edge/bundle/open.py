# SPDX-License-Identifier: Apache-2.0
"""Open a bundle: everything is checked before anything of it is used.

In order: the manifest within its limit, whether it may be believed at all, the
files it names, the files that are there, their lengths, their digests. An
opened bundle holds no descriptor and no file's bytes; what was checked is what
lay there then, so the directory belongs in hands that are trusted.

This module loads no artifact and does not look into `pre` and `post`.
"""

from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from insight_edge.bundle.contents import contents
from insight_edge.bundle.folder import Folder
from insight_edge.bundle.limits import MANIFEST_NAME, Limits
from insight_edge.documents.codec import decode_json, digest
from insight_edge.documents.manifest import FileEntry, Manifest, Variant
from insight_edge.errors import (
    ConfigurationError,
    DigestMismatchError,
    DocumentError,
    UnsignedError,
)

if TYPE_CHECKING:
    from insight_edge.bundle.golden import GoldenSamples
    from insight_edge.documents.evidence import Evidence


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle whose every byte was the manifest's when it was opened.

    Attributes:
        path: its directory.
        digest: `sha256:` of the manifest's bytes; the identity of the bundle.
        signed: whether its digest was among those that somebody vouches for.
        cache: file, in no other hands than the bundle, in which an engine that compiles an artifact
            at load may keep what it made of it; None for nowhere.
    """

    path: Path
    manifest: Manifest
    digest: str
    signed: bool
    limits: Limits = msgspec.field(default_factory=Limits)
    cache: Path | None = None

    def file(self, name: str) -> Path:
        """Return the path of a file.

        Raises:
            DocumentError: the manifest does not name it.
        """
        if name not in contents(self.manifest, self.limits):
            raise DocumentError(f"{self.path}: the manifest does not name '{name}'")
        return self.path / name

    def variant(self, name: str | None = None) -> Variant:
        """Return the variant called `name`, or the winner.

        Raises:
            ConfigurationError: there is no such variant.
        """
        for variant in self.manifest.variants:
            if name in {None, variant.name}:
                return variant
        names = ", ".join(variant.name for variant in self.manifest.variants)
        raise ConfigurationError(f"there is no variant '{name}'", hint=f"one of {names}")

    def golden(self) -> "GoldenSamples":
        """Return the golden samples, checked against the manifest.

        Raises:
            LimitExceededError: they are or unpack to more than the limits allow.
            DigestMismatchError: the file changed since the bundle was opened.
            TensorMismatchError: a name, dtype or shape is not the manifest's.
            DocumentError: not readable, or not an .npz of plain arrays.
        """
        # The agent opens bundles too, and never this: what it imports here it would carry for ever.
        from insight_edge.bundle.golden import golden_from_bytes

        data = self._read(self.manifest.golden.file, at_most=self.limits.max_golden_bytes)
        return golden_from_bytes(data, self.manifest, self.limits)

    def vocabulary(self, entry: FileEntry) -> bytes:
        """Return the bytes of a vocabulary that a step names.

        Raises:
            LimitExceededError: longer than the limits allow.
            DigestMismatchError: the file changed since the bundle was opened.
            DocumentError: not readable.
        """
        return self._read(entry, at_most=self.limits.max_vocabulary_bytes)

    def evidence(self) -> "Evidence":
        """Return the measurements and verdicts that travel with the bundle.

        Raises:
            LimitExceededError: longer than the limits allow.
            DigestMismatchError: the file changed since the bundle was opened.
            UnsupportedVersionError: written by a newer release.
            DocumentError: not readable, or malformed.
        """
        # As golden samples: nobody who serves a bundle reads this.
        from insight_edge.documents.evidence import Evidence

        data = self._read(self.manifest.evidence, at_most=self.limits.max_evidence_bytes)
        return decode_json(Evidence, data)

    def _read(self, entry: FileEntry, *, at_most: int) -> bytes:
        with Folder(self.path) as folder:
            data = folder.read(entry.path, at_most=at_most)
        if digest(data) != f"sha256:{entry.sha256}":
            raise _digest_mismatch(self.path / entry.path)
        return data


def open_bundle(
    path: Path | str,
    *,
    allow_unsigned: bool,
    accepted: Container[str] = (),
    limits: Limits | None = None,
) -> Bundle:
    """Return the bundle in the directory `path`, every file read and compared with its digest.

    Args:
        path: the directory.
        allow_unsigned: open it although nobody vouches for it.
        accepted: digests of manifests whose signatures were checked.
        limits: of what is read.

    Raises:
        UnsignedError: nothing unsigned is allowed, and it is not among the accepted.
        LimitExceededError: more or larger files than `limits` allow.
        DigestMismatchError: a file's bytes are not those of the manifest.
        UnsupportedVersionError: the manifest was written by a newer release.
        DocumentError: anything else that is wrong with it, a link or a file too many included.
    """
    bundle = open_manifest(path, allow_unsigned=allow_unsigned, accepted=accepted, limits=limits)
    files = contents(bundle.manifest, bundle.limits)
    with Folder(bundle.path) as folder:
        for entry in files.values():
            if folder.sha256(entry.path, at_most=entry.length_bytes) != entry.sha256:
                raise _digest_mismatch(bundle.path / entry.path)
    return bundle


def open_manifest(
    path: Path | str,
    *,
    allow_unsigned: bool,
    accepted: Container[str] = (),
    limits: Limits | None = None,
) -> Bundle:
    """Return the bundle in the directory `path` without comparing digests.

    Names and lengths of the files are compared; enough to tell a bundle from
    something else and a whole one from a part, in no time.

    Raises:
        UnsignedError, LimitExceededError, UnsupportedVersionError, DocumentError: as
            `open_bundle`.
    """
    limits = limits or Limits()
    path = Path(path)
    with Folder(path) as folder:
        data = folder.read(MANIFEST_NAME, at_most=limits.max_manifest_bytes)
        signed = digest(data) in accepted
        if not (signed or allow_unsigned):
            # Before it is parsed: nothing that nobody vouches for reaches a decoder.
            raise UnsignedError(
                f"{path}: the bundle is not signed",
                hint="allow it with allow_unsigned=True (--allow-unsigned) if you built it",
            )
        manifest = decode_json(Manifest, data)
        files = contents(manifest, limits)
        _refuse_difference(folder, files, limits)
    return Bundle(path=path, manifest=manifest, digest=digest(data), signed=signed, limits=limits)


def _refuse_difference(folder: Folder, files: dict[str, FileEntry], limits: Limits) -> None:
    """Refuse a directory that is not exactly the manifest and what it names."""
    found = set(folder.names(at_most=limits.max_files + 1)) - {MANIFEST_NAME}
    for name in sorted(found - files.keys()):
        raise DocumentError(f"{folder.path}: the manifest does not name {name!r}")
    for name in sorted(files.keys() - found):
        raise DocumentError(f"{folder.path}: '{name}' is missing")
    for entry in files.values():
        length_bytes = folder.length_bytes(entry.path)
        if length_bytes != entry.length_bytes:
            raise DigestMismatchError(
                f"{folder.path / entry.path}: {length_bytes} bytes, the manifest says "
                f"{entry.length_bytes}"
            )


def _digest_mismatch(path: Path) -> DigestMismatchError:
    return DigestMismatchError(
        f"{path}: its SHA-256 is not the manifest's", hint="copy or download the bundle again"
    )
