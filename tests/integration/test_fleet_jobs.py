# SPDX-License-Identifier: Apache-2.0
"""Jobs from the director's signature to their result: a real cloud, broker and agent.

`insight-edge bench` is the real one where its results matter, a stand-in where its
misbehaviour does.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_edge.bundle.slots import Slots
from insight_edge.documents.codec import encode_wire
from insight_edge.documents.desired import Envelope
from tests.fakes.job_world import VARIANTS, JobWorld, job_world
from tests.fakes.matrix import install
from tests.fakes.outage_world import DEVICE

pytest.importorskip("onnxruntime")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[JobWorld]:
    with job_world(tmp_path) as made:
        yield made


def test_a_bundle_is_timed_on_the_device_and_nothing_of_it_is_left(world: JobWorld) -> None:
    bundle = world.publish()
    world.start(None)
    world.tell(world.job(bundle=bundle, rounds=4, iterations=40, threads=1, variants=VARIANTS))
    found = world.result()
    assert (found.status, found.kind, found.reason) == ("done", "", "")
    assert [one.variant for one in found.results] == list(VARIANTS)
    assert {(one.bundle, one.device) for one in found.results} == {(bundle, DEVICE)}
    assert {(one.measurement.rounds, one.measurement.threads) for one in found.results} == {(4, 1)}
    assert len(found.results[0].rounds_p50_ms) == len(found.results[0].samples_ms) == 4
    assert found.results[0].artifact == found.results[1].artifact
    world.until(lambda: world.jobs() == {})
    assert world.left() == []
    assert Slots(world.world.place).committed is None, "no deployment serves it"


def test_a_job_that_comes_again_is_not_done_again_nor_after_a_restart(world: JobWorld) -> None:
    world.start("well")
    job = world.job(bundle=world.publish(), variants=("no-such", VARIANTS[0]))
    envelope = world.tell(job)
    found = world.result()
    assert found.status == "done"
    assert found.left_out == {"no-such": "the bundle has no such variant"}
    world.tell_bytes(envelope)
    world.tell(world.job(bundle=world.publish(1), id="job-2"))
    world.result("job-2")
    world.stop()
    world.start("well")
    world.tell_bytes(envelope)
    world.tell(world.job(bundle=world.publish(2), id="job-3"))
    world.result("job-3")
    assert len(world.runs()) == 3
    assert len(world.hear()) == 3


def test_an_agent_that_is_killed_three_times_beside_a_job_gives_it_up(world: JobWorld) -> None:
    world.start("gated")
    world.tell(world.job(bundle=world.publish()))
    for count in range(1, 4):
        world.until(lambda count=count: len(world.runs()) == count)  # type: ignore[misc]
        world.kill()
        world.until(lambda: _is_dead(world.runs()[-1]))
        world.start("gated")
    found = world.result()
    assert (found.status, found.kind) == ("failed", "MeasurementError")
    assert "3 times" in found.reason
    assert len(world.runs()) == 3
    world.until(lambda: world.left() == [])


def test_an_update_breaks_a_job_off_and_goes_first(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    world.world.want(world.world.publish(1))
    world.start("gated")
    world.until(lambda: Slots(world.world.place).committed == "a")
    with world.world.application():
        world.tell(world.job(bundle=world.publish()))
        for tag, slot in zip((2, 3, 4, 5), "baba", strict=True):  # it is no failure however often
            world.until(lambda tag=tag: len(world.runs()) == tag - 1)  # type: ignore[misc]
            world.world.want(world.world.publish(tag))
            world.until(lambda: _is_dead(world.runs()[-1]))
            world.until(lambda slot=slot: Slots(world.world.place).committed == slot)  # type: ignore[misc]
        world.open_gate()
        assert world.result().status == "done"


def test_an_update_that_waits_for_an_application_keeps_no_job_waiting(world: JobWorld) -> None:
    world.world.want(world.publish(1))
    world.start("well")
    world.until(lambda: world.world.standing().phase == "activating")
    world.tell(world.job(bundle=world.publish()))
    assert world.result().status == "done"


def test_a_job_that_is_withdrawn_ends_and_says_so(world: JobWorld) -> None:
    world.start("hang")
    job = world.job(bundle=world.publish())
    world.tell(job)
    world.until(lambda: len(world.runs()) == 2)
    world.tell(world.job(bundle=job.bench.bundle, withdrawn=True))
    assert world.result().status == "withdrawn"
    for pid in world.runs():
        world.until(lambda pid=pid: _is_dead(pid))  # type: ignore[misc]
    world.tell(job)
    world.tell(world.job(bundle="sha256:" + "0" * 64, id="job-2"))
    assert world.result("job-2").status == "refused"
    assert len(world.hear()) == 2
    world.until(lambda: world.left() == [])


def test_a_device_that_is_held_waits_and_one_whose_owner_wants_none_refuses(
    world: JobWorld,
) -> None:
    world.start("gated")
    world.tell(world.job(bundle=world.publish()))
    world.until(lambda: len(world.runs()) == 1)
    (world.state / "held").touch()
    world.until(lambda: world.phase() == "waiting")
    assert world.jobs()["job-1"].why == "the device is held"
    assert _is_dead(world.runs()[0])
    (world.state / "held").unlink()
    world.until(lambda: len(world.runs()) == 2)
    (world.state / "no-jobs").touch()
    found = world.result()
    assert (found.status, found.reason) == (
        "refused",
        "the owner of this device lets no jobs be done",
    )
    world.tell(world.job(bundle=world.publish(), id="job-2"))
    assert world.result("job-2").status == "refused"


def test_what_is_not_listed_or_revoked_or_asks_for_too_much_is_refused(world: JobWorld) -> None:
    bundle = world.publish()
    now = world.world.cloud_clock.now()
    world.world.cloud.releases.revoke(bundle, by="Ada", now=now)
    world.start("well")
    world.tell(world.job(bundle=bundle))
    assert (world.result().status, world.result().kind) == ("refused", "RevokedError")
    world.tell(world.job(bundle="sha256:" + "1" * 64, id="job-2"))
    assert world.result("job-2").kind == "RevokedError"
    world.tell(world.job(bundle=world.publish(1), id="job-3", rounds=10**6))
    assert world.result("job-3").kind == "LimitExceededError"
    assert world.runs() == []


def test_what_the_director_did_not_sign_for_this_device_is_not_answered(world: JobWorld) -> None:
    world.start("well")
    payload = Envelope(payload='{"id":"job-9"}')
    world.tell_bytes(encode_wire(payload))
    world.tell(world.job(bundle=world.publish(), id="job-8", device="press-8"))
    world.tell(world.job(bundle=world.publish(), id="job-7", expires_s=time.time() - 1))
    world.tell_bytes(b"\0" * 100_000)
    world.tell(world.job(bundle=world.publish()))
    assert world.result().status == "done"
    assert [one.id for one in world.hear()] == ["job-1"]


def test_a_job_is_told_of_until_it_is_over_and_expires_where_it_cannot_begin(
    world: JobWorld,
) -> None:
    (world.state / "held").touch()
    world.start("well")
    world.tell(world.job(bundle=world.publish(), expires_s=time.time() + 6))
    world.until(lambda: world.phase() == "waiting")
    assert (world.result().status, world.result().kind) == ("expired", "ExpiredError")
    world.until(lambda: world.jobs() == {})


def test_an_outbox_that_is_full_gives_way_to_a_result(world: JobWorld) -> None:
    from insight_edge.documents.topics import Kind
    from insight_edge.fleet.link import outbox as module
    from insight_edge.fleet.link.outbox import Outbox

    full = Outbox(world.state / "agent.sqlite")
    for number in range(module.MAX_BYTES // 1_000_000 + 1):
        full.put(Kind.PREDICTION, number.to_bytes(4) + bytes(999_996))
    assert full.lost
    full.close()
    world.start("well")
    world.tell(world.job(bundle=world.publish()))
    assert world.result().status == "done"


def _is_dead(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
