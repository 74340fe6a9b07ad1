# SPDX-License-Identifier: Apache-2.0
"""The page on enrolling a device is followed to the letter, on one machine."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from insight_cloud.installation import Installation, open_installation
from insight_cloud.platform.broker import EmbeddedBroker
from insight_cloud.platform.settings import Settings
from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.slots import Slots
from insight_edge.bundle.write import write_bundle
from insight_edge.fleet.identity import identity_of
from tests.fakes.engine_bundles import onnx_artifact, rows_of, weights_of, write_engine_bundle

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGE = (EXAMPLES / "enrol_a_device.md").read_text()
DEADLINE_S, POLL_S = 60.0, 0.1
ROWS = 12


@dataclass
class Follower:
    """Does what the page says in a folder, on ports that are free."""

    folder: Path
    ports: dict[str, str]
    running: ExitStack

    def blocks(self) -> Iterator[tuple[str, str]]:
        """Yield the blocks that can be run on one machine: those that end, and those that stay."""
        for kind, text in re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
            if kind in {"sh", "bash"}:
                yield kind, re.sub("8080|1883", lambda found: self.ports[found[0]], text)

    def follow(self, text: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-eu", "-c", text],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{text}: {done.stderr}\n{done.stdout}"
        return done.stdout

    def start(self, text: str) -> None:
        log = self.running.enter_context((self.folder / "log").open("a"))
        process = subprocess.Popen(
            text.split(), cwd=self.folder, env=environment(), stdout=log, stderr=log
        )
        self.running.enter_context(process)
        self.running.callback(process.terminate)


def environment() -> dict[str, str]:
    programs = Path(sys.executable).parent
    return os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "COLUMNS": "200"}


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    with ExitStack() as running:
        free = [str(EmbeddedBroker(tmp_path / name).address.port) for name in ("one", "other")]
        yield Follower(tmp_path, dict(zip(("8080", "1883"), free, strict=True)), running)


def until(holds: Callable[[], bool], folder: Path) -> None:
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / POLL_S)):
        if holds():
            return
        pause.wait(POLL_S)
    raise TimeoutError((folder / "log").read_text()[-2000:])


def lay_out(folder: Path) -> None:
    """Put there what the page expects: a bundle for the profile, samples, the application."""
    weights = weights_of(1)
    write_engine_bundle(folder / "any.bundle", "onnxruntime", onnx_artifact(weights), weights)
    opened = open_bundle(folder / "any.bundle", allow_unsigned=True)
    mine = msgspec.structs.replace(opened.manifest, profile=identity_of(folder / "device").profile)
    names = [path.name for path in opened.path.iterdir() if path.name != "manifest.json"]
    files = {name: (opened.path / name).read_bytes() for name in names}
    write_bundle(folder / "digits.bundle", mine, files)
    rows = {**rows_of(2, ROWS), "labels": np.arange(ROWS) % 4}
    np.savez(folder / "samples.npz", **rows)  # type: ignore[arg-type]
    shutil.copy(EXAMPLES / "enrolled_application.py", folder)


def counted(cloud: Installation) -> tuple[int, int]:
    """Return how many calls the cloud has counted, and how many outcomes it has joined."""
    now = datetime.now(UTC)
    while cloud.telemetry.roll_up(now):
        pass
    since, until_ = now - timedelta(hours=1), now + timedelta(hours=1)
    totals = cloud.telemetry.totals(since=since, until=until_)
    bundles = {slot.bundle for slot in totals}
    outcomes = sum(one.outcomes for b in bundles for one in cloud.telemetry.joined(b, since))
    return sum(one.counts.asked for one in totals.values()), outcomes


def test_page_on_enrolling_a_device_is_followed(follower: Follower) -> None:
    folder = follower.folder
    said: list[str] = []
    for kind, text in follower.blocks():
        if kind == "bash":
            follower.start(text)
            continue
        if "invite" in text:
            until(lambda: "uvicorn running" in (folder / "log").read_text().lower(), folder)
        if "publish" in text:
            lay_out(folder)
        if "application.py" in text:
            place = folder / "device" / "deployments" / "camera-1"
            until(lambda place=place: Slots(place).committed is not None, folder)  # type: ignore[misc]
        said.append(follower.follow(text))
    assert any("ExecStart=" in one for one in said)
    assert any(f"{ROWS} answered by sha256:" in one for one in said)
    assert any(f"{ROWS} outcomes on their way" in one for one in said)
    with open_installation(Settings(state=folder / "cloud")) as cloud:
        until(lambda: counted(cloud)[0] == ROWS, folder)
        until(lambda: counted(cloud)[1] > 0, folder)
        assert cloud.devices.reported("press-7").lost == {}  # type: ignore[union-attr]
    (folder / "device" / "identity.json").chmod(0o644)
    doctor = follower.follow("insight-edge agent doctor --state device --format json || true")
    found = {one["name"]: one["state"] for one in msgspec.json.decode(doctor)}
    assert found.pop("identity") == "failed"
    assert set(found.values()) <= {"ok", "warning"}
    secrets = identity_of(folder / "device")
    assert secrets.secret not in doctor
    assert str(secrets.broker.password) not in doctor
