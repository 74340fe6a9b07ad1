# SPDX-License-Identifier: Apache-2.0
"""Jobs over a world of devices that only talk: what they measured is what a test says."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from insight_cloud.devices.selection import Selection
from insight_cloud.jobs.job import Job, Receipt, Terms
from insight_cloud.jobs.service import Jobs
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.clock import now
from insight_cloud.platform.database import Database
from insight_cloud.registry.service import Registry
from insight_edge.documents.codec import encode_wire
from insight_edge.documents.evidence import Interval
from insight_edge.documents.job import Job as Order
from insight_edge.documents.job import JobResult, JobState
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.result import BenchResult
from insight_edge.documents.target import target_from_token
from insight_edge.documents.topics import TENANT, Kind, Topic
from tests.fakes.rollout_world import World, open_world
from tests.golden.record import MEASUREMENT, RESULT

Word = Callable[[Job, str], JobResult]
"""What a device says at last of a job."""


def bench_result(job: Job, device: str, p50_ms: float = 2.0, **changes: Any) -> BenchResult:
    """Return what a device may have measured of the first variant of a job's bundle."""
    variant = changes.get("variant", next(iter(job.artifacts)))
    interval = Interval(value=p50_ms, low=0.95 * p50_ms, high=1.05 * p50_ms)
    measurement = msgspec.structs.replace(
        MEASUREMENT, scenario=job.terms.scenario, p50_ms=interval, verdict="VALID", reasons=()
    )
    fields: dict[str, Any] = {
        "device": device,
        "profile": job.profile,
        "bundle": job.bundle,
        "model": ModelInfo(name=job.model, version=job.version, digest=job.bundle),
        "variant": variant,
        "artifact": job.artifacts[variant],
        "target": target_from_token(job.targets[variant]),
        "measurement": measurement,
    }
    return msgspec.structs.replace(RESULT, **{**fields, **changes})


def job_result(job: Job, device: str, *results: BenchResult, **changes: Any) -> JobResult:
    """Return the last word of a device; it is done with one result by default."""
    fields: dict[str, Any] = {
        "device": device,
        "id": job.id,
        "status": "done",
        "results": results or (bench_result(job, device),),
        "at_s": 1.0,
    }
    return JobResult(**{**fields, **changes})


def refused(job: Job, device: str, **changes: Any) -> JobResult:
    """Return the last word of a device that does not do a job."""
    said = {"status": "refused", "kind": "EngineMissingError", "reason": "no engine is here"}
    return JobResult(**{"device": device, "id": job.id, "at_s": 1.0, **said, **changes})


def sent(result: JobResult, device: str | None = None, tenant: str = TENANT) -> tuple[Topic, bytes]:
    """Return a result as it arrives."""
    topic = Topic(tenant, device or result.device, Kind.JOB_RESULT)
    return topic, encode_wire(result)


@contextmanager
def answering(jobs: Jobs, word: Word) -> Iterator[None]:
    """Let worker and devices do the jobs there are, and those that are asked for meanwhile."""
    stop = threading.Event()

    def act() -> None:
        while not stop.is_set():
            for order in jobs.follow(now()):
                jobs.told(order, now())
                jobs.take([sent(word(jobs.get(order.id), order.device))], now())
            stop.wait(0.05)

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class JobWorld:
    """A world, and its jobs."""

    def __init__(self, world: World) -> None:
        self.world = world
        blobs = open_blobs(world.folder / "blobs")
        registry = Registry(world.database, blobs)
        self.jobs = Jobs(world.database, world.devices, world.releases, registry)

    @property
    def bundle(self) -> str:
        return self.world.bundle(2)

    def bench(self, *names: str, **changes: Any) -> Job:
        """Ask devices for a measurement; all of the profile where none is named."""
        fields: dict[str, Any] = {"by": "ann", "now": self.world.now}
        if names:
            fields["selection"] = Selection(devices=names)
        if "terms" in changes and isinstance(changes["terms"], dict):
            changes["terms"] = Terms(**changes["terms"])
        return self.jobs.bench(changes.pop("bundle", self.bundle), **{**fields, **changes})

    def turn(self) -> list[Order]:
        """Let the worker have a turn, with a broker that takes all; return what it said."""
        orders = self.jobs.follow(self.world.now)
        for order in orders:
            self.jobs.told(order, self.world.now)
        return list(orders)

    def tell(self, name: str, *states: JobState) -> None:
        """Let a device say which jobs it has accepted."""
        self.world.tell(name, jobs=states)

    def say(self, *results: JobResult) -> list[Receipt]:
        """Let last words of devices arrive."""
        return list(self.jobs.take([sent(one) for one in results], self.world.now))

    def states(self, job: Job) -> dict[str, str]:
        return {one.device: one.state.value for one in self.jobs.members(job.id)}


@contextmanager
def open_jobs(template: Path, folder: Path, database: Database | None = None) -> Iterator[JobWorld]:
    """Give jobs over a copy of a world."""
    with open_world(template, folder, database) as world:
        yield JobWorld(world)
