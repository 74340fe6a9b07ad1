# SPDX-License-Identifier: Apache-2.0
"""The private keys of a tenant: Ed25519 in PEM files that their owner alone can read.

    root-1.pem … root-n.pem, targets.pem      offline: brought for what needs them, then taken away
    snapshot.pem, timestamp.pem               online
    build.pem                                 signs what is listed for each hardware profile
    director.pem                              signs what each device should run
    <name>.next.pem                           a key that is being rotated in

A key in `.next.pem` counts once metadata that names it is out; `settle` then puts
it in the old one's place, or drops it where the rotation never came so far. Keys
are never printed, logged or copied elsewhere. This module signs nothing itself.
"""

import os
import re
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from insight_cloud.platform.errors import ConflictError
from insight_cloud.releases.signing import Signers
from insight_edge.bundle.durable import replace_file, sibling, storing, sync_directory
from insight_edge.errors import ConfigurationError

ONLINE: Final = ("snapshot", "timestamp", "build", "director")
MAX_ROOTS: Final = 9
MAX_BYTES: Final = 4096

_ROOT_FILE = re.compile(r"root-[1-9]\.pem")


class Keys:
    """The keys in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def has(self, name: str) -> bool:
        """Return whether a key is here; offline keys mostly are not."""
        return self._path(name).exists()

    def roots(self) -> tuple[str, ...]:
        """Return the names of the root keys that are here, the first one first."""
        found = self._directory.glob("root-*.pem")
        return tuple(sorted(path.stem for path in found if _ROOT_FILE.fullmatch(path.name)))

    def signer(self, name: str) -> CryptoSigner:
        """Return a key to sign with.

        Raises:
            ConfigurationError: it is not here, readable by others than its owner, or no key.
        """
        path = self._path(name)
        try:
            with path.open("rb") as file:
                mode, pem = os.fstat(file.fileno()).st_mode & 0o777, file.read(MAX_BYTES)
        except OSError as error:
            raise ConfigurationError(
                f"{path}: the {name} key cannot be read: {error.strerror}",
                hint="bring the directory with the offline keys, or make keys first",
            ) from error
        if mode & 0o077:
            raise ConfigurationError(
                f"{path}: others than its owner can read this key (mode {mode:o})",
                hint=f"chmod 600 {path}; if others did read it, rotate it",
            )
        return _signer(path, pem)

    def signers(self) -> Signers:
        """Return who signs which role; the offline keys as far as they are here.

        Raises:
            ConfigurationError: an online key is not here, or a key cannot be read.
        """
        return Signers(
            root=tuple(self.signer(name) for name in self.roots()),
            targets=(self.signer("targets"),) if self.has("targets") else (),
            snapshot=(self.signer("snapshot"),),
            timestamp=(self.signer("timestamp"),),
            build=(self.signer("build"),),
        )

    @property
    def is_rotating(self) -> bool:
        """Whether a rotation was begun and not settled."""
        return any(self._directory.glob("*.next.pem"))

    def make_next(self, name: str) -> CryptoSigner:
        """Return a new key that is to replace `name`, and keep it beside it.

        Raises:
            StorageError: it cannot be written.
        """
        signer = CryptoSigner.generate_ed25519()
        replace_file(self._path(f"{name}.next"), signer.private_bytes, mode=0o600)
        return signer

    def settle(self, counting: Container[str]) -> None:
        """End every rotation: put a new key that counts in its place, drop one that does not.

        Args:
            counting: public keys that published metadata names, in hexadecimal.

        Raises:
            ConfigurationError: a new key cannot be read.
            StorageError: the directory cannot be written.
        """
        for path in sorted(self._directory.glob("*.next.pem")):
            name = path.name.removesuffix(".next.pem")
            counts = public_hex(self.signer(f"{name}.next")) in counting
            with storing(path):
                if counts:
                    path.replace(self._path(name))
                else:
                    path.unlink()
                sync_directory(self._directory)
        with storing(self._directory):
            for left in self._directory.glob(".*.pem.*"):
                left.unlink()

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.pem"


def init_keys(directory: Path, *, roots: int = 1) -> Keys:
    """Make all keys of a tenant; all of its root keys will have to sign a root.

    Args:
        directory: is made; the offline keys are to be taken elsewhere afterwards.
        roots: how many root keys, each for another person to keep.

    Raises:
        ValueError: there are no root keys, or too many.
        ConflictError: something is there already.
        StorageError: it cannot be written; nothing is there.
    """
    if not 1 <= roots <= MAX_ROOTS:
        raise ValueError(f"{roots} root keys, not 1 to {MAX_ROOTS}")
    if directory.exists():
        raise ConflictError(f"{directory}: exists already", hint="keys are rotated, never replaced")
    names = (*(f"root-{number}" for number in range(1, roots + 1)), "targets", *ONLINE)
    _make(directory, names)
    return Keys(directory)


def public_hex(signer: CryptoSigner) -> str:
    """Return the raw public key of a signer in hexadecimal."""
    return str(signer.public_key.keyval["public"])


def _make(directory: Path, names: Iterable[str]) -> None:
    staged = sibling(directory)
    with storing(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        staged.mkdir(mode=0o700)
    for name in names:
        pem = CryptoSigner.generate_ed25519().private_bytes
        replace_file(staged / f"{name}.pem", pem, mode=0o600)
    with storing(directory):
        staged.rename(directory)
        sync_directory(directory.parent)


def _signer(path: Path, pem: bytes) -> CryptoSigner:
    try:
        private = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"{path}: not a private key in PEM") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigurationError(f"{path}: not an Ed25519 key")
    return CryptoSigner(private)
