# SPDX-License-Identifier: Apache-2.0
"""A cloud that tells one device jobs and hears what comes of them, and that device's agent.

The agent is a process (`tests.fakes.job_agent`). Results are taken off the broker by a
client of the test, and acknowledged as the ingester would; one that is sent again is one.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from insight_cloud.platform.publisher import Outgoing, Publisher
from insight_cloud.releases import director
from insight_edge.documents.codec import decode_wire, digest, encode_wire
from insight_edge.documents.delivery import Ack
from insight_edge.documents.device import Reported
from insight_edge.documents.job import Job, JobResult, JobState
from insight_edge.documents.topics import TENANT, Kind, Topic, subscription
from insight_edge.fleet.identity import identity_of
from tests.fakes.bench_program import command, runs
from tests.fakes.broker import CLOUD_SWIFT, Stranger, cloud_login, stranger
from tests.fakes.engine_bundles import onnx_artifact, weights_of, write_engine_bundle
from tests.fakes.jobs import job_of
from tests.fakes.outage_world import DEVICE, World, outage_world

ROOT = Path(__file__).parents[2]
TOKEN = "onnxruntime"
VARIANTS = (f"{TOKEN}-fp32", "twin")


@dataclass
class JobWorld:
    """One cloud and one device that is told jobs.

    Attributes:
        world: both, without an agent.
        hearing: hears results.
        heard: results by the digest of their bytes.
        acknowledging: whether results are acknowledged.
        births: of the device, before the agent that runs now.
    """

    world: World
    hearing: Stranger
    saying: Publisher
    log: Path
    heard: dict[str, JobResult] = field(default_factory=dict)
    acknowledging: bool = True
    agent: "subprocess.Popen[bytes] | None" = None
    births: int = 0

    @property
    def state(self) -> Path:
        return self.world.state

    def start(self, mode: str | None = "well", instant: str = "never") -> None:
        """Start an agent whose jobs run as a stand-in, or as the real program for None."""
        self.births = self.world.told().count("born")
        program = () if mode is None else command(mode, self.log)
        words = [sys.executable, "-m", "tests.fakes.job_agent", str(self.state), instant, *program]
        self.agent = subprocess.Popen(words, cwd=ROOT)

    def killed(self) -> None:
        """Wait until the agent has killed itself."""
        assert self.agent is not None
        assert self.agent.wait(timeout=60) == -9

    def kill(self) -> None:
        assert self.agent is not None
        self.agent.kill()
        self.agent.wait()

    def stop(self) -> None:
        assert self.agent is not None
        self.agent.terminate()
        assert self.agent.wait(timeout=60) == 0

    def publish(self, seed: int = 0, *, columns: int = 8) -> str:
        """Publish a bundle of ONNX Runtime with two variants, and return its digest."""
        path = self.world.folder / f"onnx-{seed}"
        weights = weights_of(seed, columns)
        profile = identity_of(self.state).profile
        write_engine_bundle(
            path, TOKEN, onnx_artifact(weights), weights, also=["twin"], profile=profile
        )
        now = self.world.cloud_clock.now()
        return self.world.cloud.releases.publish(path, by="Ada", now=now).bundle

    def job(self, **changes: Any) -> Job:
        return job_of(**{"device": DEVICE, "expires_s": time.time() + 3600, **changes})

    def tell(self, job: Job) -> bytes:
        """Tell the device a job, signed, and return what was sent."""
        signer = self.world.cloud.releases._keys.signer("director")
        payload = encode_wire(director.sign(cast("Any", job), signer))
        self.tell_bytes(payload)
        return payload

    def tell_bytes(self, payload: bytes) -> None:
        """Tell the device something on the topic of jobs, as soon as it hears."""
        self.until(lambda: self.world.told().count("born") > self.births)
        topic = Topic(TENANT, DEVICE, Kind.JOB)
        self.saying.publish_all([Outgoing(topic, payload, retain=False)])

    def hear(self) -> list[JobResult]:
        """Return what came of jobs so far."""
        while not self.hearing.heard.empty():
            _, payload = self.hearing.heard.get()
            self.heard[digest(payload)] = decode_wire(JobResult, payload)
            if self.acknowledging:
                topic = Topic(TENANT, DEVICE, Kind.ACK)
                ack = encode_wire(Ack(received=(digest(payload),)))
                self.saying.publish_all([Outgoing(topic, ack, retain=False)])
        return list(self.heard.values())

    def result(self, name: str = "job-1") -> JobResult:
        """Wait for what came of a job; there is one word of it."""
        self.until(lambda: any(one.id == name for one in self.hear()))
        (found,) = (one for one in self.hear() if one.id == name)
        return found

    def jobs(self) -> dict[str, JobState]:
        """Return what the device says of its jobs."""
        reported: Reported | None = self.world.reported()
        return {} if reported is None else {job.id: job for job in reported.jobs}

    def phase(self, name: str = "job-1") -> str:
        found = self.jobs().get(name)
        return "none" if found is None else found.phase

    def runs(self) -> list[int]:
        return runs(self.log)

    def open_gate(self) -> None:
        Path(f"{self.log}.go").touch()

    def left(self) -> list[str]:
        """Return what lies on the device's disk of jobs."""
        place = self.state / "jobs"
        return sorted(path.name for path in place.iterdir()) if place.exists() else []

    def until(self, holds: Callable[[], bool]) -> None:
        self.world.until(holds)


@contextmanager
def job_world(folder: Path) -> Iterator[JobWorld]:
    """Give a cloud that runs and a device that is enrolled, whose agent was not started."""
    with outage_world(folder) as world:
        login = cloud_login(world.broker)
        saying = Publisher(login, name="tells-jobs", pace=CLOUD_SWIFT)
        try:
            with stranger(login, "hears-results") as hearing:
                hearing.subscribe(subscription(Kind.JOB_RESULT))
                made = JobWorld(world, hearing, saying, folder / "log")
                try:
                    yield made
                finally:
                    if made.agent is not None:
                        made.agent.kill()
                        made.agent.wait()
        finally:
            saying.close()
