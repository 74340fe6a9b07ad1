# SPDX-License-Identifier: Apache-2.0
"""A cloud that releases bundles, served over HTTP, and devices that trust it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from insight_cloud.platform.blobs import open_blobs
from insight_cloud.releases.keys import Keys, init_keys
from insight_cloud.releases.service import Releases
from insight_edge.bundle.write import write_bundle
from insight_edge.documents.enrolment import Broker, Identity
from insight_edge.fleet.trust.fetcher import Patience
from insight_edge.fleet.trust.repository import Trust
from insight_edge.fleet.trust.tuf_client import Bounds
from tests.fakes.bundles import bundle_files, bundle_manifest
from tests.fakes.migrated import migrated_database
from tests.fakes.update_server import UpdateServer

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "device-secret"
PROFILE = "rpi5-8gb"


@dataclass
class Clock:
    """A device's clock, which can be set, and a monotonic one, which cannot go back."""

    now_s: float = START.timestamp()
    monotonic_s: float = 1000.0

    def pass_(self, **time: float) -> None:
        seconds = timedelta(**time).total_seconds()
        self.now_s += seconds
        self.monotonic_s += seconds


@dataclass
class World:
    """Everything of one tenant below one folder.

    Attributes:
        root: is served: `tuf` and `blobs`.
        now: the cloud's time.
    """

    root: Path
    server: UpdateServer
    releases: Releases
    keys: Keys
    now: datetime = START
    clock: Clock = field(default_factory=Clock)

    @property
    def metadata(self) -> Path:
        return self.root / "tuf" / "metadata"

    def later(self, **time: float) -> None:
        """Let time pass in the cloud and for the device."""
        self.now += timedelta(**time)
        self.clock.pass_(**time)

    def bundle(self, weights: bytes = b"weights", profile: str = PROFILE, version: int = 1) -> Path:
        """Write a bundle and return its folder."""
        files = bundle_files(weights)
        manifest = bundle_manifest(files)
        model = msgspec.structs.replace(manifest.model, version=version)
        manifest = msgspec.structs.replace(manifest, profile=profile, model=model)
        folder = self.root / "bundles" / f"{profile}-{version}-{weights.hex()[:16]}"
        write_bundle(folder, manifest, files)
        return folder

    def publish(self, weights: bytes = b"weights", profile: str = PROFILE, version: int = 1) -> str:
        """Publish a bundle and return its digest."""
        folder = self.bundle(weights, profile, version)
        return self.releases.publish(folder, by="Ada", now=self.now).bundle

    def identity(self, profile: str = PROFILE, device: str = "cam-1") -> Identity:
        return Identity(
            tenant="default",
            device=device,
            profile=profile,
            secret=SECRET,
            cloud=self.server.url,
            broker=Broker(host="127.0.0.1", port=1),
            root=self.releases.root(),
        )

    def device(self, name: str = "cam-1", profile: str = PROFILE) -> "Device":
        return Device(self, self.root / "devices" / name, self.identity(profile, name))


@dataclass
class Device:
    """One device: its state directory, its identity, and a trust that restarts with it."""

    world: World
    state: Path
    identity: Identity
    bounds: Bounds = Bounds(patience=Patience(silence_s=5.0, total_s=10.0))  # noqa: RUF009

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.trust = Trust(self.state, self.identity, bounds=self.bounds, monotonic=self._monotonic)

    def refresh(self) -> None:
        self.trust.refresh(self.world.clock.now_s)

    def fetch(self, bundle: str) -> bytes:
        """Refresh, then return the manifest of a bundle."""
        self.refresh()
        return self.trust.manifest(bundle)

    @property
    def _monotonic(self) -> Callable[[], float]:
        return lambda: self.world.clock.monotonic_s


@contextmanager
def trust_world(root: Path, *, roots: int = 1) -> Iterator[World]:
    """Give a cloud with fresh keys and an empty repository, served until the end."""
    database = migrated_database(root / "cloud.sqlite")
    keys = init_keys(root / "keys", roots=roots)
    releases = Releases(database, open_blobs(root / "blobs"), root / "tuf", keys)
    releases.renew(now=START)
    try:
        with UpdateServer(root, SECRET) as server:
            yield World(root, server, releases, keys)
    finally:
        database.close()
