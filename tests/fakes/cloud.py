# SPDX-License-Identifier: Apache-2.0
"""An installation below one folder, its keys made, and its HTTP door as a real process."""

import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from insight_cloud.installation import Installation, open_installation
from insight_cloud.platform.clock import now
from insight_cloud.platform.settings import Settings
from insight_cloud.platform.setup import BrokerPlace, Setup
from insight_cloud.releases.keys import init_keys

START_S = 30


class Cloud(Installation):
    """One installation; `served` opens its door."""

    def invite(self, device: str | None = None) -> str:
        at = now()
        return self.devices.invite(device, by="test", expires=at + timedelta(hours=1), now=at)

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
    """Make an installation; all of one process have the same keys."""
    shutil.copytree(_fresh_state().name, state, dirs_exist_ok=True)
    with open_installation(Settings(state=state)) as cloud:
        yield Cloud(**vars(cloud))


@cache
def _fresh_state() -> TemporaryDirectory[str]:
    """Return what a first start makes: tables, keys and signed metadata."""
    folder = TemporaryDirectory(prefix="cloud-")
    settings = Settings(state=Path(folder.name))
    init_keys(settings.keys_path)
    with open_installation(settings) as cloud:
        cloud.releases.renew(now=now())
    return folder


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
    deadline = now() + timedelta(seconds=START_S)
    while now() < deadline:
        assert process.poll() is None, "the API process ended"
        try:
            with urllib.request.urlopen(f"{address}/openapi.json", timeout=5):  # noqa: S310
                return
        except (urllib.error.URLError, ConnectionError):
            continue
    raise TimeoutError("the API process does not answer")
