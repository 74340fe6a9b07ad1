# SPDX-License-Identifier: Apache-2.0
"""What the update repository of the tenant says, believed only as far as its signatures go.

    <state>/tuf/metadata/     newest metadata that was accepted, kept by the TUF client
    <state>/tuf/targets/      the last manifest and directors that were fetched
    <state>/tuf/seen.json     a time that has certainly passed (`fleet.floor`)

Every refusal is one of our errors, and its class says what kind of attack it
looks like; trouble on the way is a `DownloadError`, never a `TrustError`. This
module fetches no blobs and installs nothing. One thread, one process.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tuf.api.metadata import Metadata, Root, TargetFile, Targets, Timestamp
from tuf.ngclient.updater import Updater

from insight_edge.bundle.durable import storing
from insight_edge.bundle.limits import Limits
from insight_edge.documents.codec import decode_json, digest
from insight_edge.documents.desired import Directors
from insight_edge.documents.enrolment import Identity
from insight_edge.documents.manifest import Manifest
from insight_edge.errors import (
    DocumentError,
    DownloadError,
    ExpiredError,
    InsightEdgeError,
    LimitExceededError,
    RevokedError,
    TamperedError,
    UnsignedError,
    WrongProfileError,
)
from insight_edge.fleet.trust.floor import PLACE, Floor
from insight_edge.fleet.trust.tuf_client import Bounds, TimedUpdater, flush, our_errors

DIRECTORS: Final = "directors.json"
MAX_DIRECTORS_BYTES: Final = 64 * 1024

SIGNED_S: Final = "signed_s"
"""Field of the timestamp metadata: when it was signed, whole seconds since the epoch."""

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class Trust:
    """The update repository as one device sees it.

    Args:
        state: directory of the agent.
        identity: of the device; the root in it is believed.
        bounds: of what is read.
        monotonic: seconds that only grow.

    Raises:
        StorageError: the directory cannot be made.
    """

    def __init__(
        self,
        state: Path,
        identity: Identity,
        *,
        bounds: Bounds | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._bounds = bounds or Bounds()
        self._folder = state / "tuf"
        with storing(self._folder):
            for name in ("metadata", "targets"):
                (self._folder / name).mkdir(parents=True, exist_ok=True)
            for left in (*self._folder.glob(".seen.json.*"), *self._folder.glob("metadata/tmp*")):
                left.unlink()
        self._floor = Floor(state / PLACE, monotonic)
        self._updater: Updater | None = None

    def now_s(self, clock_s: float) -> float:
        """Return the time to go by: the clock's, or the last time seen where it stands before."""
        return self._floor.now_s(clock_s)

    def refresh(self, now_s: float) -> None:
        """Fetch and verify the newest metadata; after an error nothing is believed until the next.

        Args:
            now_s: by the device's clock, seconds since the epoch.

        Raises:
            UnsignedError: too few signatures by keys that count.
            TamperedError: bytes that nobody signed, or more of them than were.
            ExpiredError: signed too long ago, or the clock is ahead.
            RolledBackError: older than what was accepted before.
            RevokedError: the root of the enrolment is too old to be followed.
            DownloadError: the repository cannot be reached, or is too slow.
            StorageError: the disk is full or cannot be written.
        """
        self._updater = None
        self._floor.keep()
        try:
            updater = self._refreshed(now_s)
        except UnsignedError:
            # A key may have been rotated after the look at the root, before that at what it signs.
            updater = self._refreshed(now_s)
        except ExpiredError:
            if not self._floor.keys or self._timestamp_keys() == self._floor.keys:
                raise
            self._floor.forget()
            updater = self._refreshed(now_s)
        self._refuse_long_chain()
        self._remember()
        self._updater = updater

    def manifest(self, bundle_digest: str) -> bytes:
        """Return the manifest of a bundle that this device may install, as of the last refresh.

        Raises:
            RevokedError: it is not listed, or not any more.
            WrongProfileError: it is for another class of hardware.
            LimitExceededError: it is longer than any manifest.
            DocumentError: it is no manifest, or `bundle_digest` no digest.
            TrustError, DownloadError, StorageError: as `refresh`.
        """
        found = _DIGEST.fullmatch(bundle_digest)
        if found is None:
            raise DocumentError(f"{bundle_digest[:80]!r} is not a digest")
        profile = self._identity.profile
        target = self._target(f"{profile}/{found[1]}.json")
        if target is None:
            raise self._not_listed(found[1])
        data = self._fetched(target, "manifest.json", Limits().max_manifest_bytes)
        if digest(data) != bundle_digest:
            raise TamperedError(f"what is listed as {bundle_digest} is {digest(data)}")
        built_for = decode_json(Manifest, data).profile
        if built_for != profile:
            raise WrongProfileError(f"built for '{built_for[:80]}', this device is '{profile}'")
        return data

    def directors(self) -> Directors:
        """Return who may say what this device should run, as of the last refresh.

        Raises:
            RevokedError: nobody may.
            LimitExceededError: the list is longer than any.
            DocumentError: it is malformed.
            TrustError, DownloadError, StorageError: as `refresh`.
        """
        target = self._target(DIRECTORS)
        if target is None:
            raise RevokedError("the update repository names no director")
        return decode_json(Directors, self._fetched(target, DIRECTORS, MAX_DIRECTORS_BYTES))

    def _refreshed(self, clock_s: float) -> Updater:
        with our_errors():
            now_s = self._floor.now_s(clock_s)
            updater = TimedUpdater(self._folder, self._identity, self._bounds, now_s)
            updater.refresh()
            flush(self._folder)
            return updater

    def _refuse_long_chain(self) -> None:
        """Refuse where the TUF client stopped at a root that may have been replaced since."""
        first = Metadata[Root].from_bytes(self._identity.root.encode()).signed.version
        rotations = self._root().version - first
        if rotations > self._bounds.max_root_rotations:
            raise RevokedError(
                f"the root was rotated more than {self._bounds.max_root_rotations} times since "
                "this device was enrolled",
                hint="enrol the device again",
            )

    def _remember(self) -> None:
        timestamp: Timestamp = self._accepted("timestamp")
        signed_s = timestamp.unrecognized_fields.get(SIGNED_S)
        if type(signed_s) is int and 0 <= signed_s < timestamp.expires.timestamp():
            self._floor.raise_to(float(signed_s), self._timestamp_keys())

    def _timestamp_keys(self) -> tuple[str, ...]:
        return tuple(sorted(self._root().roles["timestamp"].keyids))

    def _root(self) -> Root:
        root: Root = self._accepted("root")
        return root

    def _accepted(self, role: str) -> Any:
        """Return what the newest metadata of a role says."""
        with our_errors():
            data = (self._folder / "metadata" / f"{role}.json").read_bytes()
            return Metadata[Any].from_bytes(data).signed

    def _believed(self) -> Updater:
        if self._updater is None:
            raise DownloadError("the update repository was not read since the agent started")
        return self._updater

    def _target(self, path: str) -> TargetFile | None:
        updater = self._believed()
        with our_errors():
            return updater.get_targetinfo(path)

    def _fetched(self, target: TargetFile, name: str, max_bytes: int) -> bytes:
        """Return the bytes of a target, from the disk where they lie there already."""
        if target.length > max_bytes:
            raise LimitExceededError(
                f"{target.path}: {target.length} bytes, at most {max_bytes} are read"
            )
        path = str(self._folder / "targets" / name)
        updater = self._believed()
        with our_errors():
            if updater.find_cached_target(target, path) is None:
                updater.download_target(target, path)
            data = Path(path).read_bytes()
            target.verify_length_and_hashes(data)
            return data

    def _not_listed(self, name: str) -> InsightEdgeError:
        """Return why a bundle is not listed for this device: for nobody, or for others."""
        for profile in self._other_profiles():
            with suppress(InsightEdgeError):
                if self._target(f"{profile}/{name}.json") is not None:
                    return WrongProfileError(
                        f"the bundle is for '{profile}', this device is '{self._identity.profile}'"
                    )
        return RevokedError(
            f"no bundle sha256:{name} is listed for '{self._identity.profile}'",
            hint="it was revoked, or not published for this profile",
        )

    def _other_profiles(self) -> Iterator[str]:
        targets: Targets = self._accepted("targets")
        delegations = targets.delegations
        roles = () if delegations is None else delegations.roles or ()
        others = [name for name in roles if name != self._identity.profile]
        yield from others[: self._bounds.max_profiles]
