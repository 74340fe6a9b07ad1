# SPDX-License-Identifier: Apache-2.0
"""TUF metadata made and signed; nothing here reads a disk or a clock.

One number counts the states of a repository: snapshot and timestamp of a state
have it as their version, so the snapshots on disk also say which timestamps
there have been.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    T,
    TargetFile,
    Targets,
    Timestamp,
)

from insight_cloud.releases.rules import Terms
from insight_edge.errors import ConfigurationError, LimitExceededError

MAX_BYTES: Final = {
    "root": 512_000,
    "timestamp": 16_384,
    "snapshot": 2_000_000,
    "targets": 5_000_000,
}
"""What devices read at most; a profile's role counts as targets."""

SIGNED_S: Final = "signed_s"
"""Field of the timestamp: when it was signed, whole seconds since the epoch."""

AnyMetadata = Metadata[Any]


@dataclass(frozen=True, kw_only=True)
class Signers:
    """Who signs which role; none where an offline key was not brought.

    Two for one role sign both while one of them is rotated out.
    """

    root: tuple[CryptoSigner, ...] = ()
    targets: tuple[CryptoSigner, ...] = ()
    snapshot: tuple[CryptoSigner, ...]
    timestamp: tuple[CryptoSigner, ...]
    build: tuple[CryptoSigner, ...]

    def with_role(self, role: str, signers: Sequence[CryptoSigner]) -> "Signers":
        """Return the same with other signers of one role."""
        return replace(self, **{role: tuple(signers)})


def signed(content: T, signers: Sequence[CryptoSigner]) -> Metadata[T]:
    """Return metadata with the signatures of all `signers`."""
    metadata = Metadata(content)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata


def encoded(metadata: AnyMetadata) -> bytes:
    """Return the bytes of metadata.

    Raises:
        LimitExceededError: devices would not read so many.
    """
    data, most = metadata.to_bytes(), MAX_BYTES[metadata.signed.type]
    if len(data) > most:
        raise LimitExceededError(
            f"{metadata.signed.type} metadata of {len(data)} bytes, devices read at most {most}",
            hint="revoke bundles that no device needs any more",
        )
    return data


def lacks(metadata: AnyMetadata, signers: Iterable[CryptoSigner]) -> bool:
    """Return whether metadata was not signed by all of them."""
    return any(signer.public_key.keyid not in metadata.signatures for signer in signers)


def first_root(signers: Signers, expires: datetime) -> Metadata[Root]:
    """Return root 1; all root keys have to sign the next."""
    root = Root(expires=expires)
    for role in ("root", "targets", "snapshot", "timestamp"):
        _name(root, role, getattr(signers, role))
    return signed(root, signers.root)


def next_root(
    current: Root,
    signers: Sequence[CryptoSigner],
    expires: datetime,
    changed: Mapping[str, Sequence[CryptoSigner]],
) -> Metadata[Root]:
    """Return the root after `current`, signed so that who believes that one believes this one.

    Args:
        current: the newest root.
        signers: its keys.
        expires: of the new one.
        changed: roles whose keys are replaced, and by which.

    Raises:
        ConfigurationError: the signers are not those of the current root.
    """
    root = deepcopy(current)
    root.version, root.expires = current.version + 1, expires
    for role, added in changed.items():
        _name(root, role, added)
    metadata = signed(root, [*signers, *changed.get("root", ())])
    for delegator in (current, root):
        refuse_unbelievable(delegator, "root", metadata)
    return metadata


def targets_role(
    targets: Mapping[str, TargetFile],
    profiles: Iterable[str],
    build: Sequence[CryptoSigner],
    *,
    version: int,
    expires: datetime,
) -> Targets:
    """Return the top role: its own targets, and a role for each profile that build keys sign."""
    keys = {signer.public_key.keyid: signer.public_key for signer in build}
    roles = {
        name: DelegatedRole(name, sorted(keys), 1, terminating=True, paths=[f"{name}/*"])
        for name in sorted(profiles)
    }
    return Targets(version, None, expires, dict(targets), Delegations(dict(keys), roles))


def state(
    number: int, roles: Mapping[str, MetaFile], signers: Signers, terms: Terms
) -> tuple[Metadata[Snapshot], Metadata[Timestamp]]:
    """Return snapshot and timestamp of a state.

    Args:
        number: of the state.
        roles: the metadata files of it, by role.
        signers: of snapshot and timestamp.
        terms: when they are signed and expire.
    """
    metas = {f"{name}.json": meta for name, meta in sorted(roles.items())}
    snapshot = signed(Snapshot(number, None, terms.end("snapshot"), metas), signers.snapshot)
    said = meta_file(number, encoded(snapshot))
    timestamp = Timestamp(number, None, terms.end("timestamp"), said)
    timestamp.unrecognized_fields[SIGNED_S] = int(terms.now.timestamp())
    return snapshot, signed(timestamp, signers.timestamp)


def meta_file(version: int, data: bytes) -> MetaFile:
    """Return what a snapshot or timestamp says of a metadata file."""
    return MetaFile.from_data(version, data, ["sha256"])


def refuse_unbelievable(delegator: Root | Targets, role: str, metadata: AnyMetadata) -> None:
    """Refuse metadata that devices would refuse.

    Raises:
        ConfigurationError: the keys that signed it are not those that count.
    """
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError as error:
        raise ConfigurationError(
            f"the keys here are not those that count for {role}: {error}",
            hint="use the directory with the newest keys",
        ) from error


def _name(root: Root, role: str, signers: Sequence[CryptoSigner]) -> None:
    """Make these the keys of a role, and those before them none."""
    for keyid in list(root.roles[role].keyids):
        root.revoke_key(keyid, role)
    for signer in signers:
        root.add_key(signer.public_key, role)
    root.roles[role].threshold = len(signers) if role == "root" else 1
