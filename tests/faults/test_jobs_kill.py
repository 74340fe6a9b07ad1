# SPDX-License-Identifier: Apache-2.0
"""An agent that is killed at any dangerous instant of a job: one result in the end, no more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_edge.documents.codec import decode_wire
from insight_edge.documents.job import JobResult
from insight_edge.documents.topics import Kind
from insight_edge.fleet.jobs.store import JobStore
from insight_edge.fleet.link.outbox import Outbox
from tests.fakes.job_agent import INSTANTS
from tests.fakes.job_world import JobWorld, job_world

pytest.importorskip("onnxruntime")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[JobWorld]:
    with job_world(tmp_path) as made:
        yield made


@pytest.mark.parametrize("instant", INSTANTS)
def test_a_kill_at_any_instant_leaves_one_result(world: JobWorld, instant: str) -> None:
    world.start("well", instant)
    job = world.job(bundle=world.publish())
    envelope = world.tell(job)
    world.killed()
    world.start("well")
    world.tell_bytes(envelope)
    assert world.result().status == "done"
    world.until(lambda: world.jobs() == {})
    world.tell(world.job(bundle=job.bench.bundle, id="job-2"))
    assert world.result("job-2").status == "done"
    assert sorted(one.id for one in world.hear()) == ["job-1", "job-2"]
    world.stop()
    outbox = Outbox(world.state / "agent.sqlite")
    assert JobStore(outbox).kept() == ()
    assert JobStore(outbox).over() == {"job-1", "job-2"}
    outbox.close()
    assert world.left() == []


@pytest.mark.parametrize("instant", ["after-attempt", "before-results", "before-outbox"])
def test_an_instant_that_kills_every_agent_fails_the_job_after_three(
    world: JobWorld, instant: str
) -> None:
    world.start("well", instant)
    world.tell(world.job(bundle=world.publish()))
    world.killed()
    for _ in range(2):
        world.start("well", instant)
        world.killed()
    world.start("well")
    found = world.result()
    assert (found.status, found.kind) == ("failed", "MeasurementError")
    assert len(world.hear()) == 1


def test_a_result_that_is_not_acknowledged_waits_over_a_restart(world: JobWorld) -> None:
    world.acknowledging = False
    world.start("well")
    world.until(lambda: "born" in world.world.told())
    world.world.stop_cloud()  # its ingester acknowledges, too
    world.tell(world.job(bundle=world.publish()))
    world.result()
    world.kill()
    outbox = Outbox(world.state / "agent.sqlite")
    (waiting,) = (one for one in outbox.due(9, 1e18) if one.kind is Kind.JOB_RESULT)
    outbox.close()
    assert decode_wire(JobResult, waiting.payload).id == "job-1"
    assert waiting.digest in world.heard
