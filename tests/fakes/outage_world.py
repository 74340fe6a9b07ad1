# SPDX-License-Identifier: Apache-2.0
"""A cloud and one device whose clocks, line and disks are a test's to spoil.

The broker is a process; HTTP door, ingester, worker, agent and application are threads of
the test, so that their clocks can be set. What they do is what the programs do.
"""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import uvicorn
from fastapi import FastAPI

from insight_cloud.app.main import build_app
from insight_cloud.platform.broker import EmbeddedBroker
from insight_cloud.platform.publisher import Publisher
from insight_cloud.platform.setup import BrokerPlace
from insight_cloud.platform.subscriber import Subscriber
from insight_cloud.worker import ingester
from insight_cloud.worker.assigning import Assigning
from insight_cloud.worker.ingesting import KEPT, STATES, Ingesting
from insight_edge.bench.machine import machine_facts
from insight_edge.documents.device import DeploymentState, Reported
from insight_edge.documents.enrolment import EnrolmentRequest
from insight_edge.errors import InsightEdgeError
from insight_edge.fleet.agent import Agent
from insight_edge.fleet.attendant import Rhythm
from insight_edge.fleet.enrol import enrol
from insight_edge.fleet.identity import deployment_dir, identity_of, keep_identity
from insight_edge.fleet.update.policy import Policy
from insight_edge.runtime.infer import Runtime
from tests.fakes.broker import CLOUD_SWIFT, SWIFT, cloud_login
from tests.fakes.cloud import Cloud, open_cloud
from tests.fakes.matrix import one_row, tagged_matrix, write_matrix_bundle

DEVICE, DEPLOYMENT = "press-7", "camera-1"
DEADLINE_S = 60.0
POLL_S = 0.05
FACTS = machine_facts()
RHYTHM = Rhythm(window_s=0.3, health_s=0.1, predictions_s=0.2, retry_s=0.1)
POLICY = Policy(retry_first_s=0.2, retry_most_s=1.0, probation_s=0.5, p99_slack_ms=1000.0)
"""How long answers take here says what else this machine does, not what a bundle is worth."""


class Clock:
    """A clock that goes with time, and can be set."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s

    def now(self) -> datetime:
        return datetime.fromtimestamp(self(), UTC)

    def rule(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the runtime of this process go by it too."""
        mine = vars(time) | {"time": self, "time_ns": lambda: int(self() * 1e9)}
        for module in ("shelf", "observer", "predictions", "outcomes", "capture"):
            monkeypatch.setattr(f"insight_edge.runtime.{module}.time", SimpleNamespace(**mine))


@dataclass
class World:
    """One cloud and one device.

    Attributes:
        clock: of the device.
        cloud_clock: of ingester and worker.
    """

    cloud: Cloud
    broker: EmbeddedBroker
    folder: Path
    state: Path
    address: str
    clock: Clock = field(default_factory=Clock)
    cloud_clock: Clock = field(default_factory=Clock)
    answered: Counter[str] = field(default_factory=Counter)
    _cloud_side: ExitStack | None = None
    _agent: ExitStack | None = None

    @property
    def place(self) -> Path:
        return deployment_dir(self.state, DEPLOYMENT)

    def publish(self, tag: float) -> str:
        path = self.folder / f"bundle-{tag}"
        write_matrix_bundle(path, tagged_matrix(tag), profile=identity_of(self.state).profile)
        return self.cloud.releases.publish(path, by="Ada", now=self.cloud_clock.now()).bundle

    def want(self, bundle: str) -> int:
        now = self.cloud_clock.now()
        return self.cloud.devices.set_desired(DEVICE, DEPLOYMENT, bundle, by="test", now=now)

    def enrol(self) -> None:
        request = EnrolmentRequest(
            token=self.cloud.invite(DEVICE), deployments=(DEPLOYMENT,), facts=FACTS
        )
        keep_identity(self.state, enrol(self.address, request))

    def through(self, port: int) -> None:
        """Let the device reach its broker at another port from now on."""
        me = identity_of(self.state)
        there = msgspec.structs.replace(me.broker, port=port)
        keep_identity(self.state, msgspec.structs.replace(me, broker=there))

    def start_agent(self) -> None:
        agent = Agent(self.state, FACTS, policy=POLICY, rhythm=RHYTHM, pace=SWIFT, clock=self.clock)
        self._agent = ExitStack()
        self._agent.enter_context(_thread(agent.run))

    def stop_agent(self) -> None:
        if self._agent is not None:
            self._agent.close()
        self._agent = None

    def start_cloud(self) -> None:
        """Start ingester and worker."""
        self._cloud_side = ExitStack()
        login = cloud_login(self.broker)
        taking = Subscriber(
            login, name="ingester", group="i", kinds=STATES | KEPT, pace=CLOUD_SWIFT
        )
        saying = Publisher(login, name="says", pace=CLOUD_SWIFT)
        now = self.cloud_clock.now
        ingesting = Ingesting(
            self.cloud.devices, self.cloud.telemetry, self.cloud.jobs, saying, now
        )
        assigning = Assigning(self.cloud.devices, self.cloud.releases, saying, now)
        self._cloud_side.enter_context(closing(saying))
        self._cloud_side.enter_context(
            _thread(lambda stop: ingester._ingest(taking, ingesting, stop))
        )
        self._cloud_side.callback(taking.close)
        self._cloud_side.enter_context(_thread(lambda stop: _each(0.2, assigning.run, stop)))

    def stop_cloud(self) -> None:
        if self._cloud_side is not None:
            self._cloud_side.close()
        self._cloud_side = None

    @contextmanager
    def application(self) -> Iterator[Runtime]:
        """Attach a runtime that is asked without pause."""
        with Runtime.attach(self.place) as runtime:

            def ask() -> None:
                result = runtime.infer(one_row())
                self.answered[result.bundle] += 1

            with _thread(lambda stop: _each(0.002, ask, stop)):
                yield runtime

    def reported(self) -> Reported | None:
        return self.cloud.devices.reported(DEVICE)

    def standing(self) -> DeploymentState:
        found = self.reported()
        return DeploymentState() if found is None else found.deployments[DEPLOYMENT]

    def why(self) -> str:
        return self.cloud.devices.not_updated_reason(DEVICE, DEPLOYMENT) or ""

    def told(self) -> list[str]:
        """Return the timeline, the newest first."""
        return [event.news.kind.value for event in self.cloud.devices.timeline(DEVICE)]

    def counted(self) -> dict[str, int]:
        """Return how many calls the cloud knows of, by bundle."""
        until = datetime.now(UTC) + timedelta(days=100)
        while self.cloud.telemetry.roll_up(self.cloud_clock.now()):
            pass
        totals = self.cloud.telemetry.totals(since=datetime(1970, 1, 2, tzinfo=UTC), until=until)
        found: Counter[str] = Counter()
        for slot, one in totals.items():
            found[slot.bundle] += one.counts.asked
        return dict(found)

    def serves_on(self) -> None:
        """Wait for answers that are given from now on."""
        goal = self.answered.total() + 50
        self.until(lambda: self.answered.total() >= goal)

    def arrives(self) -> None:
        """Wait until the cloud has counted every answer, once; to be called when no more are."""
        self.until(lambda: self.counted() == dict(self.answered))

    def until(self, holds: Callable[[], bool]) -> None:
        pause, deadline_s = threading.Event(), time.monotonic() + DEADLINE_S
        while not holds():
            if time.monotonic() > deadline_s:
                left = [path.name for path in self.place.glob("window-*.map")]
                stands = f"{self.reported()}, left with the host: {left}"
                raise TimeoutError(f"{self.counted()} of {dict(self.answered)}; {stands}")
            pause.wait(POLL_S)


@contextmanager
def outage_world(folder: Path, *, cloud_state: Path | None = None) -> Iterator[World]:
    """Give a cloud that runs, and a device that is enrolled and has not been started."""
    with ExitStack() as opened:
        cloud = opened.enter_context(open_cloud(cloud_state or folder / "cloud"))
        broker = EmbeddedBroker(cloud.settings.state / "broker", program="iotcore")
        opened.enter_context(broker)
        host, port = broker.address
        place = BrokerPlace(
            host=host, port=port, program="iotcore", state=str(cloud.settings.state / "broker")
        )
        setup = cloud.setup(_free_port(), place)
        opened.enter_context(_served(build_app(setup, cloud), setup.port))
        world = World(
            cloud=cloud, broker=broker, folder=folder, state=folder / "agent", address=setup.address
        )
        opened.callback(world.stop_cloud)
        opened.callback(world.stop_agent)
        world.enrol()
        world.start_cloud()
        yield world


@contextmanager
def _served(app: FastAPI, port: int) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None))
    with _thread(lambda _: server.run()):
        pause = threading.Event()
        while not server.started:
            pause.wait(POLL_S)
        try:
            yield
        finally:
            server.should_exit = True


@contextmanager
def _thread(work: Callable[[threading.Event], Any]) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _each(pause_s: float, work: Callable[[], object], stop: threading.Event) -> None:
    while not stop.wait(pause_s):
        try:
            work()
        except InsightEdgeError:
            continue  # as the worker: at the next turn


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
