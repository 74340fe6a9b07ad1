# SPDX-License-Identifier: Apache-2.0
"""The TUF client as it is used here: bounded, by a given time, with our own fetcher and errors.

Nothing is decided here that python-tuf does not decide; `fleet.trust` asks it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tuf.api import exceptions as tuf
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.updater import Updater

from insight_edge.bundle.limits import Limits
from insight_edge.documents.enrolment import Identity
from insight_edge.errors import (
    DownloadError,
    ExpiredError,
    InsightEdgeError,
    RolledBackError,
    StorageError,
    TamperedError,
    UnsignedError,
)
from insight_edge.fleet.trust.fetcher import Fetcher, Patience


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What the repository may ask of a device at most.

    Attributes:
        max_root_rotations: since the root that the device was enrolled with.
        max_delegations: roles looked into for one target.
        max_profiles: others that are searched for a bundle that this device's profile lacks.
    """

    max_root_rotations: int = 256
    max_delegations: int = 32
    max_profiles: int = 32
    max_root_bytes: int = 512_000
    max_timestamp_bytes: int = 16_384
    max_snapshot_bytes: int = 2_000_000
    max_targets_bytes: int = 5_000_000
    patience: Patience = field(default_factory=Patience)


class TimedUpdater(Updater):
    """A TUF client that goes by the time it is given instead of the system's clock.

    Args:
        folder: with `metadata` and `targets` in it.
        identity: of the device; the root in it is believed.
        bounds: of what is read.
        now_s: seconds since the epoch.

    Raises:
        RepositoryError: the root in the identity is none.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, identity: Identity, bounds: Bounds, now_s: float) -> None:
        base = f"{identity.cloud.rstrip('/')}/v1/tuf"
        largest = max(
            bounds.max_root_bytes,
            bounds.max_snapshot_bytes,
            bounds.max_targets_bytes,
            Limits().max_manifest_bytes,
        )
        super().__init__(
            str(folder / "metadata"),
            f"{base}/metadata/",
            str(folder / "targets"),
            f"{base}/targets/",
            Fetcher(identity.secret, bounds.patience, max_bytes=largest),
            UpdaterConfig(
                # One more than is followed, to learn whether there is one.
                max_root_rotations=bounds.max_root_rotations + 1,
                max_delegations=bounds.max_delegations,
                root_max_length=bounds.max_root_bytes,
                timestamp_max_length=bounds.max_timestamp_bytes,
                snapshot_max_length=bounds.max_snapshot_bytes,
                targets_max_length=bounds.max_targets_bytes,
            ),
            bootstrap=identity.root.encode(),
        )
        self._trusted_set.reference_time = datetime.fromtimestamp(now_s, UTC)


def flush(folder: Path) -> None:
    """Wait until the metadata that was accepted is on the disk.

    python-tuf renames without flushing: after a power cut, an empty file where the newest
    timestamp was would let an older one in.

    Raises:
        OSError: it cannot be flushed.
    """
    metadata = folder / "metadata"
    for path in [*metadata.rglob("*.json"), metadata / "root_history", metadata]:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


_KINDS: Final[tuple[tuple[type[Exception], type[InsightEdgeError], str], ...]] = (
    (tuf.UnsignedMetadataError, UnsignedError, "too few signatures by keys that count"),
    (tuf.ExpiredMetadataError, ExpiredError, "signed too long ago"),
    (tuf.BadVersionNumberError, RolledBackError, "older than what was accepted before"),
    (tuf.RepositoryError, TamperedError, "not what was signed"),
    (tuf.DownloadLengthMismatchError, TamperedError, "longer than what was signed"),
    (tuf.DownloadError, DownloadError, "cannot be fetched"),
    (OSError, StorageError, "cannot be written"),
)
"""The first that fits."""

_HINTS: Final[dict[type[InsightEdgeError], str]] = {
    ExpiredError: "nothing is installed until the cloud signs again; check the device's clock",
    DownloadError: "check the device's network and the cloud's address",
    StorageError: "free some space and try again",
}

_SURPRISES = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What a client that reads malformed metadata could raise where it should refuse."""


@contextmanager
def our_errors() -> Iterator[None]:
    """Turn what the TUF client raises into one of our errors.

    Raises:
        UnsignedError, ExpiredError, RolledBackError, TamperedError: it refused.
        DownloadError: it could not fetch.
        StorageError: it could not write.
    """
    try:
        yield
    except tuple(foreign for foreign, _, _ in _KINDS) as error:
        ours, meaning = next((ours, text) for kind, ours, text in _KINDS if isinstance(error, kind))
        raise ours(_message(meaning, error), hint=_HINTS.get(ours)) from error
    except _SURPRISES as error:
        raise TamperedError(_message("not what was signed", error)) from error


def _message(meaning: str, error: Exception) -> str:
    said = str(error).partition("\n")[0][:300]
    return f"update repository: {meaning}: {said or type(error).__name__}"
