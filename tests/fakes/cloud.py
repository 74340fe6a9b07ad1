# SPDX-License-Identifier: Apache-2.0
"""An installation below one folder, its keys made, and its HTTP door as a real process."""

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from insight_cloud.devices.service import Devices
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.database import Database, open_database
from insight_cloud.platform.migration import ensure_current
from insight_cloud.platform.settings import Settings
from insight_cloud.platform.setup import BrokerPlace, Setup
from insight_cloud.releases.keys import Keys, init_keys
from insight_cloud.releases.service import Releases
from insight_cloud.telemetry.known import find_in
from insight_cloud.telemetry.service import Telemetry

START_S = 30


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """One installation; `serve` opens its door."""

    settings: Settings
    database: Database
    devices: Devices
    releases: Releases
    telemetry: Telemetry

    def invite(self, device: str | None = None) -> str:
        now = datetime.now(UTC)
        return self.devices.invite(device, by="test", expires=now + timedelta(hours=1), now=now)

    def setup(self, port: int, broker: BrokerPlace) -> Setup:
        return Setup(
            state=str(self.settings.state),
            database=str(self.settings.database_path),
            blobs=str(self.settings.blobs_path),
            keys=str(self.settings.keys_path),
            host="127.0.0.1",
            port=port,
            address=f"http://127.0.0.1:{port}",
            broker=broker,
        )


@contextmanager
def open_cloud(state: Path) -> Iterator[Cloud]:
    """Make an installation."""
    settings = Settings(state=state)
    database = open_database(settings.database_path)
    ensure_current(database)
    blobs = open_blobs(settings.blobs_path)
    keys: Keys = init_keys(settings.keys_path)
    releases = Releases(database, blobs, settings.repository_path, keys)
    releases.renew(now=datetime.now(UTC))
    try:
        yield Cloud(
            settings=settings,
            database=database,
            devices=Devices(database),
            releases=releases,
            telemetry=Telemetry(database, find_in(blobs), settings.log_path),
        )
    finally:
        database.close()


@contextmanager
def served(cloud: Cloud, port: int, broker: BrokerPlace) -> Iterator[str]:
    """Serve the HTTP door in a process of its own, and give its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "insight_cloud.app.main"], stdin=subprocess.PIPE
    )
    setup = cloud.setup(port, broker)
    try:
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(setup) + b"\n")
        process.stdin.flush()
        _wait_for(setup.address, process)
        yield setup.address
    finally:
        process.kill()
        process.communicate()


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = datetime.now(UTC) + timedelta(seconds=START_S)
    while datetime.now(UTC) < deadline:
        assert process.poll() is None, "the API process ended"
        try:
            with urllib.request.urlopen(f"{address}/openapi.json", timeout=5):  # noqa: S310
                return
        except (urllib.error.URLError, ConnectionError):
            continue
    raise TimeoutError("the API process does not answer")
