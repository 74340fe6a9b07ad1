# SPDX-License-Identifier: Apache-2.0
"""A whole small fleet: a cloud as `insight-cloud up` runs it, and one enrolled device.

Cloud and agent are the programs that users run; the test uses the same database.
Whoever is the application attaches a runtime to `place`, in the test's own process.
"""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from insight_edge.documents.device import DeploymentState, Reported
from insight_edge.fleet.identity import deployment_dir, identity_of
from tests.fakes.cloud import Cloud, open_cloud
from tests.fakes.matrix import tagged_matrix, write_matrix_bundle
from tests.fakes.programs import program

DEVICE, DEPLOYMENT = "press-7", "camera-1"
DEADLINE_S = 40.0
POLL_S = 0.05


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Fleet:
    """One cloud and one device.

    Attributes:
        folder: for bundles.
        state: directory of the agent.
        up: the cloud's supervisor.
    """

    cloud: Cloud
    folder: Path
    state: Path
    up: subprocess.Popen[bytes]
    agent: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def place(self) -> Path:
        """What an application attaches to."""
        return deployment_dir(self.state, DEPLOYMENT)

    def publish(self, tag: float) -> str:
        """Publish the bundle whose answers are all `tag`, and return its digest."""
        path = self.folder / f"bundle-{tag}"
        write_matrix_bundle(path, tagged_matrix(tag), profile=identity_of(self.state).profile)
        return self.cloud.releases.publish(path, by="Ada", now=now()).bundle

    def want(self, bundle: str) -> int:
        """Assign a bundle, and return the revision; the cloud lets the device know."""
        return self.cloud.devices.set_desired(DEVICE, DEPLOYMENT, bundle, by="test", now=now())

    def enrol(self, address: str) -> None:
        command = [program("insight-edge"), "agent", "enroll", address]
        options = ["--state", str(self.state), "--deployment", DEPLOYMENT]
        done = subprocess.run(
            [*command, *options],
            input=self.cloud.invite(DEVICE),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def start_agent(self) -> None:
        options = ["--state", str(self.state), "--window-s", "0.5", "--probation-s", "1"]
        # Other suites share the processors with this one, and windows are short.
        options += ["--p99-factor", "100"]
        self.agent = subprocess.Popen([program("insight-edge"), "agent", "run", *options])

    def kill_agent(self) -> None:
        if self.agent is not None:
            self.agent.kill()
            self.agent.wait()
        self.agent = None

    def stop_agent(self) -> None:
        if self.agent is not None:
            self.agent.terminate()
            assert self.agent.wait(timeout=DEADLINE_S) == 0
        self.agent = None

    def kill_process(self, module: str) -> None:
        """Kill the process of the cloud that runs a module; its supervisor is left."""
        for pid in _descendants(self.up.pid):
            if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
                return
        raise AssertionError(f"no process runs {module}")

    def reported(self) -> Reported | None:
        return self.cloud.devices.reported(DEVICE)

    def standing(self) -> DeploymentState:
        """Return how the deployment stands, as far as the cloud knows."""
        found = self.reported()
        return DeploymentState() if found is None else found.deployments[DEPLOYMENT]

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something."""
        pause = threading.Event()
        for _ in range(int(DEADLINE_S / POLL_S)):
            if holds():
                return
            pause.wait(POLL_S)
        raise TimeoutError(f"it did not come to that: {self.reported()}")

    def counted(self) -> dict[str, int]:
        """Return how many calls the cloud knows of, by bundle."""
        while self.cloud.telemetry.roll_up(now()):
            pass
        found: dict[str, int] = {}
        totals = self.cloud.telemetry.totals(since=datetime(2000, 1, 1, tzinfo=UTC), until=now())
        for slot, one in totals.items():
            found[slot.bundle] = found.get(slot.bundle, 0) + one.counts.asked
        return found


@contextmanager
def small_fleet(folder: Path) -> Iterator[Fleet]:
    """Start a cloud, enrol a device of it, and start its agent."""
    with open_cloud(folder / "cloud") as cloud:
        port, broker_port = _free_ports()
        command = [program("insight-cloud"), "up", "--state", str(folder / "cloud")]
        ports = ["--port", str(port), "--broker-port", str(broker_port)]
        with subprocess.Popen([*command, *ports]) as up:
            fleet = Fleet(cloud=cloud, folder=folder, state=folder / "agent", up=up)
            try:
                fleet.until(lambda: _answers(port))
                fleet.enrol(f"http://127.0.0.1:{port}")
                fleet.start_agent()
                yield fleet
            finally:
                fleet.kill_agent()
                up.terminate()


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *_descendants(child)]
    return found


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
