# SPDX-License-Identifier: Apache-2.0
"""Jobs on a disk that is full: refused, or put off, and told of once in the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_edge.fleet.transfer.incoming import RESERVE_BYTES
from tests.fakes.job_world import JobWorld, job_world
from tests.fakes.small_disk import fill, small_disk_at

pytest.importorskip("onnxruntime")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[JobWorld]:
    with job_world(tmp_path) as made, small_disk_at(made.state):
        try:
            yield made
        finally:
            made.kill()


def test_a_bundle_that_would_take_the_reserve_is_refused(world: JobWorld) -> None:
    fill(world.state / "ballast", leaving_bytes=RESERVE_BYTES // 2)
    world.start("well")
    world.tell(world.job(bundle=world.publish()))
    found = world.result()
    assert (found.status, found.kind) == ("refused", "StorageError")
    assert "bytes are needed for the bundle" in found.reason
    assert (world.runs(), world.left()) == ([], [])


def test_what_cannot_be_written_down_is_not_begun_and_comes_again(world: JobWorld) -> None:
    world.start("well")
    bundle = world.publish()
    world.tell(world.job(bundle=bundle, id="job-0", withdrawn=True))
    world.result("job-0")
    fill(world.state / "ballast")
    world.tell(world.job(bundle=bundle, id="job-1"))
    world.tell(world.job(bundle=bundle, id="job-2"))
    assert world.runs() == []
    (world.state / "ballast").unlink()
    world.tell(world.job(bundle=bundle, id="job-1"))
    assert world.result("job-1").status == "done"


def test_a_result_that_cannot_be_written_down_waits_for_room(world: JobWorld) -> None:
    world.start("gated")
    world.tell(world.job(bundle=world.publish()))
    world.until(lambda: len(world.runs()) == 1)
    fill(world.state / "ballast")
    world.open_gate()
    pid = world.runs()[0]
    world.until(lambda: not Path(f"/proc/{pid}").exists())
    assert world.hear() == []
    (world.state / "ballast").unlink()
    assert world.result().status in {"done", "failed"}
    assert len(world.runs()) == 1
    world.until(lambda: world.jobs() == {})
