# SPDX-License-Identifier: Apache-2.0
"""Jobs from being asked for to their results, over real tables."""

from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insight_cloud.devices.selection import Selection
from insight_cloud.devices.service import Devices
from insight_cloud.jobs.following import follow
from insight_cloud.jobs.job import Job, Terms, Wanted
from insight_cloud.jobs.retention import Retention
from insight_cloud.jobs.rules import AGAIN
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.releases.rules import Mode
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.job import JobResult, JobState
from insight_edge.documents.target import target_from_token
from insight_edge.documents.topics import TENANT, Kind, Topic
from insight_edge.errors import ConfigurationError
from tests.fakes.any_document import documents
from tests.fakes.measuring_world import JobWorld, bench_result, job_result, open_jobs, refused, sent
from tests.fakes.rollout_world import make_world, publish


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jobs") / "template"
    make_world(folder)
    return folder


@pytest.fixture
def world(template: Path, tmp_path: Path) -> Iterator[JobWorld]:
    with open_jobs(template, tmp_path / "world") as world:
        yield world


@pytest.fixture
def asked(world: JobWorld) -> tuple[JobWorld, Job]:
    """A device that was told."""
    world.world.add("cam-1")
    job = world.bench()
    world.turn()
    return world, job


def accept(world: JobWorld, job: Job, name: str) -> None:
    world.tell(name, JobState(id=job.id, phase="measuring"))


def actions(world: JobWorld) -> list[str]:
    with world.world.database.read() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT action FROM accounts_audit WHERE action LIKE 'job.%' ORDER BY at, id"
        )
        return [row[0] for row in rows]


# Asked for.


def test_a_job_is_told_accepted_done_and_its_results_are_found(world: JobWorld) -> None:
    world.world.add("cam-1", "cam-2")
    job = world.bench()
    assert (job.state, job.label, job.profile) == ("waiting", "digits:2", "box")
    assert job.id.startswith("bench-")
    assert world.states(job) == {"cam-1": "waiting", "cam-2": "waiting"}
    assert sorted(order.device for order in world.turn()) == ["cam-1", "cam-2"]
    assert world.states(job) == {"cam-1": "told", "cam-2": "told"}
    accept(world, job, "cam-1")
    assert world.turn() == []
    assert world.jobs.get(job.id).reason == "0 of 2 devices done, 1 measuring, 1 told"
    results = [job_result(job, name, bench_result(job, name)) for name in ("cam-1", "cam-2")]
    assert all(receipt.fault is None for receipt in world.say(*results))
    over = world.jobs.get(job.id)
    assert (over.state, over.reason, over.ended) == (
        "done",
        "2 of 2 devices done",
        world.world.now,
    )
    kept = world.jobs.results(job.id)
    assert kept == (bench_result(job, "cam-1"), bench_result(job, "cam-2"))
    assert encode_json(kept[0]) == encode_json(bench_result(job, "cam-1"))
    assert [one.samples_ms for one in world.jobs.figures(job.id)] == [(), ()]
    assert world.turn() == []
    assert actions(world) == ["job.bench"]
    [(mine, member)] = world.jobs.of_device("cam-1")
    assert (mine.id, member.state) == (job.id, "done")


def test_three_of_a_group_are_asked_and_those_that_are_there_first(world: JobWorld) -> None:
    world.world.add(*(f"cam-{number}" for number in range(6)))
    world.world.add("lab-1", profile="lab")
    for name in ("cam-0", "cam-1", "cam-2"):
        world.world.offline(name)
    job = world.bench()
    assert set(world.states(job)) == {"cam-3", "cam-4", "cam-5"}
    assert (job.spare, job.left_out) == (3, {})
    assert len(world.states(world.bench(terms={"devices": 5}))) == 5
    whole = world.bench(selection=Selection())
    assert whole.left_out == {"lab-1": "it is of profile lab, the bundle is for box"}
    assert len(world.states(world.bench(*(f"cam-{n}" for n in range(6))))) == 6


def test_a_device_that_is_not_fit_is_left_out_with_its_reason(world: JobWorld) -> None:
    world.world.add("cam-1", "cam-2", "cam-3")
    world.world.add("lab-1", profile="lab")
    world.world.tell("cam-2", held=True)
    world.world.devices.retire_device("cam-3", by="ann", now=world.world.now)
    job = world.bench("cam-1", "cam-2", "cam-3", "lab-1")
    assert set(world.states(job)) == {"cam-1"}
    assert job.left_out == {
        "cam-2": "its owner has stopped updates and jobs on it",
        "cam-3": "it left the fleet",
        "lab-1": "it is of profile lab, the bundle is for box",
    }


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (("cam-9",), NotFoundError, "there is no device 'cam-9'"),
        (("lab-1",), ConflictError, "no device is fit for it; lab-1: it is of profile lab"),
        (("cam-2",), ConflictError, "cam-2: its owner has stopped"),
        (("cam-3",), ConflictError, "cam-3: it left the fleet"),
    ],
)
def test_a_job_for_nobody_is_refused(
    world: JobWorld, names: tuple[str, ...], error: type[Exception], message: str
) -> None:
    world.world.add("cam-1", "cam-2", "cam-3")
    world.world.add("lab-1", profile="lab")
    world.world.tell("cam-2", held=True)
    world.world.devices.retire_device("cam-3", by="ann", now=world.world.now)
    with pytest.raises(error, match=message):
        world.bench(*names)
    assert world.jobs.list() == ()
    assert actions(world) == []


def test_a_profile_without_devices_is_refused(world: JobWorld) -> None:
    with pytest.raises(NotFoundError, match="no device is meant"):
        world.bench()


def test_a_bundle_that_no_device_may_fetch_is_refused_in_one_line(world: JobWorld) -> None:
    world.world.add("cam-1")
    with pytest.raises(NotFoundError, match="no bundle sha256:0000"):
        world.bench(bundle="sha256:" + "0" * 64)
    releases, now = world.world.releases, world.world.now
    releases.revoke(world.bundle, by="kim", now=now)
    with pytest.raises(ConflictError, match="of digits:2 was revoked by kim"):
        world.bench()
    releases.set_policy("digits", Mode.HUMAN, now=now, by="kim")
    pending = publish(releases, world.world.folder, 4, "box")
    with pytest.raises(ConflictError, match="of digits:4 waits for approval") as caught:
        world.bench(bundle=pending)
    assert caught.value.hint == f"insight-cloud release approve {pending}"


@pytest.mark.parametrize(
    "terms",
    [{"rounds": 0}, {"limit_s": 1e9}, {"variants": ("int4",)}, {"devices": 0}, {"lifetime_s": 1}],
)
def test_terms_that_cannot_be_meant_are_refused(world: JobWorld, terms: dict[str, Any]) -> None:
    world.world.add("cam-1")
    with pytest.raises(ConfigurationError):
        world.bench(terms=terms)
    assert world.jobs.list() == ()


def test_asking_twice_with_one_key_is_asking_once(world: JobWorld) -> None:
    world.world.add("cam-1")
    job = world.bench(key="pipeline/7/bench")
    assert world.bench(key="pipeline/7/bench") == job
    assert world.bench(key="pipeline/8/bench").id != job.id
    assert actions(world) == ["job.bench", "job.bench"]
    with pytest.raises(ConfigurationError, match="a key has"):
        world.bench(key="")


def test_a_model_version_stands_for_its_one_bundle(world: JobWorld) -> None:
    world.world.add("cam-1")
    world.world.add("lab-1", profile="lab")
    of = world.jobs.bundle_of
    assert of("digits", 2, Selection(profile="lab")) == world.world.bundle(2, "lab")
    assert of("digits", "2", Selection(devices=("cam-1",))) == world.bundle
    with pytest.raises(ConfigurationError, match="has bundles for box, lab") as caught:
        of("digits", 2)
    assert caught.value.hint == "choose one: --on profile:box"
    with pytest.raises(NotFoundError, match="no bundle of digits:9 is listed"):
        of("digits", 9)
    with pytest.raises(NotFoundError):
        of("digits", "best")
    world.world.releases.revoke(world.bundle, by="kim", now=world.world.now)
    assert of("digits", 2) == world.world.bundle(2, "lab")


def test_devices_of_a_profile_that_are_there_are_named(world: JobWorld) -> None:
    world.world.add("cam-1", "cam-2", "cam-3")
    world.world.add("lab-1", profile="lab")
    world.world.offline("cam-2")
    world.world.tell("cam-3", held=True)
    assert world.jobs.online_of("box") == ("cam-1",)


# Said, again, and no more.


def test_a_job_is_said_again_until_the_device_tells_of_it(world: JobWorld) -> None:
    world.world.add("cam-1")
    job = world.bench()
    assert len(world.turn()) == 1
    world.world.now += AGAIN - timedelta(seconds=1)
    assert world.turn() == []
    world.world.now += timedelta(seconds=1)
    [order] = world.turn()
    assert (order.id, order.device, order.withdrawn) == (job.id, "cam-1", False)
    accept(world, job, "cam-1")
    world.world.now += 2 * AGAIN
    assert world.turn() == []
    world.tell("cam-1")  # it has lost what it knew, or its result is under way
    assert [order.id for order in world.turn()] == [job.id]


def test_a_device_that_is_away_is_told_when_it_is_back(world: JobWorld) -> None:
    world.world.add("cam-1")
    world.world.offline("cam-1")
    job = world.bench()
    assert world.turn() == []
    assert world.jobs.get(job.id).reason == ("0 of 1 device done, 1 waiting (it is not connected)")
    world.world.later(hours=1)
    world.world.online("cam-1")
    assert [order.id for order in world.turn()] == [job.id]


def test_what_the_broker_did_not_take_is_said_at_the_next_turn(world: JobWorld) -> None:
    world.world.add("cam-1")
    job = world.bench()
    assert len(world.jobs.follow(world.world.now)) == 1
    assert world.states(job) == {"cam-1": "waiting"}
    assert len(world.turn()) == 1


def test_a_job_that_expires_ends_and_a_late_result_counts_all_the_same(world: JobWorld) -> None:
    world.world.add("cam-1", "cam-2")
    world.world.offline("cam-2")
    job = world.bench(terms={"lifetime_s": 3600.0})
    world.turn()
    world.world.later(hours=2)
    assert world.turn() == []
    assert world.states(job) == {"cam-1": "expired", "cam-2": "expired"}
    over = world.jobs.get(job.id)
    assert (over.state, over.ended) == ("failed", world.world.now)
    world.world.later(hours=1)
    world.say(job_result(job, "cam-1"))
    assert world.states(job) == {"cam-1": "done", "cam-2": "expired"}
    late = world.jobs.get(job.id)
    assert (late.state, late.ended) == ("done", over.ended)
    assert len(world.jobs.results(job.id)) == 1


def test_a_job_is_withdrawn_and_those_that_were_told_are_told_so(world: JobWorld) -> None:
    world.world.add("cam-1", "cam-2")
    world.world.offline("cam-2")
    job = world.bench()
    world.turn()
    accept(world, job, "cam-1")
    world.turn()
    gone = world.jobs.withdraw(job.id, by="kim", now=world.world.now, reason="not\nneeded")
    assert (gone.state, gone.ended) == ("withdrawn", None)
    assert world.states(job) == {"cam-1": "accepted", "cam-2": "withdrawn"}
    [order] = world.turn()
    assert (order.device, order.withdrawn) == ("cam-1", True)
    world.world.now += AGAIN
    assert [one.withdrawn for one in world.turn()] == [True]
    with pytest.raises(ConflictError, match="is withdrawn"):
        world.jobs.withdraw(job.id, by="kim", now=world.world.now)
    said = refused(job, "cam-1", status="withdrawn", kind="", reason="the cloud took it back")
    world.say(said)
    assert world.jobs.get(job.id).ended == world.world.now
    assert world.turn() == []
    assert actions(world) == ["job.bench", "job.withdraw"]


def test_a_job_whose_bundle_is_revoked_is_withdrawn(world: JobWorld) -> None:
    world.world.add("cam-1")
    job = world.bench()
    world.world.releases.revoke(world.bundle, by="kim", now=world.world.now)
    assert world.turn() == []
    assert world.jobs.get(job.id).state == "withdrawn"
    assert actions(world) == ["job.bench", "job.withdraw"]


class Meddled(Devices):
    """Devices that speak just while a worker looks at them."""

    meddle: Callable[[], object] = staticmethod(lambda: None)

    def online(self, among: Collection[str], *, tenant: str = TENANT) -> tuple[str, ...]:
        found = super().online(among, tenant=tenant)
        self.meddle()
        return found


def test_a_last_word_that_comes_while_a_worker_looks_is_the_last(world: JobWorld) -> None:
    world.world.add("cam-1")
    job = world.bench()
    world.turn()
    accept(world, job, "cam-1")
    devices = Meddled(world.world.database)
    devices.meddle = lambda: world.say(job_result(job, "cam-1"))
    assert follow(world.world.database, devices, world.world.now) == ()
    assert world.states(job) == {"cam-1": "done"}


# Results.


def test_a_result_that_comes_twice_is_kept_once(world: JobWorld) -> None:
    world.world.add("cam-1")
    job = world.bench()
    world.turn()
    [topic_and_payload] = [sent(job_result(job, "cam-1"))]
    for _ in range(3):
        [receipt] = world.jobs.take([topic_and_payload], world.world.now)
        assert (receipt.digest, receipt.fault) == (digest(topic_and_payload[1]), None)
    assert len(world.jobs.results(job.id)) == 1
    [other] = world.say(job_result(job, "cam-1", bench_result(job, "cam-1", 9.0)))
    assert other.fault is not None
    assert other.fault[0] == "ConflictError"
    assert world.jobs.results(job.id)[0].measurement.p50_ms.value == 2.0


def test_why_there_is_no_result_is_kept_as_one_line(world: JobWorld) -> None:
    world.world.add("cam-1")
    job = world.bench()
    world.turn()
    world.say(refused(job, "cam-1", reason="no\nengine", left_out={"fp32": "not\there"}))
    [member] = world.jobs.members(job.id)
    assert (member.state, member.why) == ("refused", "EngineMissingError: no engine")
    assert member.left_out == {"fp32": "not here"}
    assert world.jobs.get(job.id).reason.endswith("; cam-1: EngineMissingError: no engine")


def spoiled(job: Job) -> dict[str, Any]:
    """Return results that are not believed, by what is wrong with them."""
    good = bench_result(job, "cam-1")
    slow = msgspec.structs.replace
    measured = good.measurement
    return {
        "WrongDeviceError: 'cam-2' was not asked": sent(job_result(job, "cam-2")),
        "WrongDeviceError: 'cam-1' speaks of 'cam-2'": sent(job_result(job, "cam-2"), "cam-1"),
        "WrongDeviceError: 'cam-1' sends what 'cam-2' measured": sent(
            job_result(job, "cam-1", bench_result(job, "cam-2"))
        ),
        "NotFoundError: there is no job 'bench-0'": sent(job_result(job, "cam-1", id="bench-0")),
        "NotFoundError: there is no job": sent(job_result(job, "cam-1"), tenant="other"),
        "DocumentError: results: of another bundle": sent(
            job_result(job, "cam-1", slow(good, bundle=digest(b"")))
        ),
        "DocumentError: results: of another model": sent(
            job_result(job, "cam-1", slow(good, model=slow(good.model, version=9)))
        ),
        "DocumentError: results: the bundle has no such variant": sent(
            job_result(job, "cam-1", slow(good, artifact=digest(b"")))
        ),
        "DocumentError: results: of another target than onnxruntime:fp32": sent(
            job_result(job, "cam-1", slow(good, target=target_from_token("tvm:fp32")))
        ),
        "DocumentError: results: of another scenario than single-stream": sent(
            job_result(
                job, "cam-1", slow(good, measurement=slow(good.measurement, scenario="offline"))
            )
        ),
        "DocumentError: results: a variant comes twice": sent(job_result(job, "cam-1", good, good)),
        "DocumentError: results: it is done and there": sent(
            msgspec.structs.replace(job_result(job, "cam-1"), results=())
        ),
        "DocumentError: BenchResult": sent(job_result(job, "cam-1", slow(good, at_s=float("nan")))),
        "DocumentError: fp32: a median outside": sent(
            job_result(
                job,
                "cam-1",
                slow(
                    good,
                    measurement=slow(measured, p50_ms=slow(measured.p50_ms, low=9.0)),
                ),
            )
        ),
        "DocumentError: fp32: a figure below": sent(
            job_result(job, "cam-1", slow(good, measurement=slow(measured, load_ms=-1.0)))
        ),
        "LimitExceededError: results: more than": sent(
            job_result(job, "cam-1", left_out={str(n): "" for n in range(65)})
        ),
    }


def test_what_is_not_believed_is_receipted_and_changes_nothing(world: JobWorld) -> None:
    world.world.add("cam-1", "cam-2")
    job = world.bench("cam-1")
    world.turn()
    for wanted, message in spoiled(job).items():
        [receipt] = world.jobs.take([message], world.world.now)
        assert receipt.digest == digest(message[1])
        assert receipt.fault is not None, wanted
        assert ": ".join(receipt.fault).startswith(wanted)
    topic, _ = sent(job_result(job, "cam-1"))
    [receipt] = world.jobs.take([(topic, b"nothing of ours")], world.world.now)
    assert receipt.fault is not None
    assert world.states(job) == {"cam-1": "told"}
    assert world.jobs.results(job.id) == ()


def test_a_batch_keeps_the_good_beside_the_bad(world: JobWorld) -> None:
    world.world.add("cam-1", "cam-2")
    job = world.bench()
    world.turn()
    good, bad = job_result(job, "cam-1"), job_result(job, "cam-2", id="bench-0")
    assert [one.fault is None for one in world.say(good, bad)] == [True, False]
    assert world.states(job) == {"cam-1": "done", "cam-2": "told"}


def test_measurements_are_found_by_what_they_are_of(world: JobWorld) -> None:
    world.world.add("cam-1", "cam-2")
    world.world.add("lab-1", profile="lab")
    first = world.bench()
    second = world.bench(bundle=world.world.bundle(3, "lab"))
    world.turn()
    said = [(first, "cam-1"), (first, "cam-2"), (second, "lab-1")]
    world.say(*(job_result(job, name) for job, name in said))
    find = world.jobs.measurements
    assert [one.number for one in find()] == [1, 2, 3]
    assert [one.number for one in find(after=1, limit=1)] == [2]
    artifact = next(iter(second.artifacts.values()))
    for wanted, numbers in (
        (Wanted(model="digits"), [1, 2, 3]),
        (Wanted(model="digits", version=3), [3]),
        (Wanted(profile="box"), [1, 2]),
        (Wanted(bundle=second.bundle), [3]),
        (Wanted(artifact=artifact), [3]),
        (Wanted(device="cam-2"), [2]),
        (Wanted(target="onnxruntime:fp32"), [1, 2, 3]),
        (Wanted(target="openvino:int8"), []),
        (Wanted(model="digits", version=2, device="lab-1"), []),
    ):
        assert [one.number for one in find(wanted)] == numbers
    assert find(tenant="other") == ()


# Whose.


def test_another_tenant_sees_nothing_of_it(world: JobWorld) -> None:
    world.world.add("cam-1")
    job = world.bench()
    jobs, now = world.jobs, world.world.now
    assert jobs.list(tenant="other") == ()
    assert jobs.of_device("cam-1", tenant="other") == ()
    for ask in (jobs.get, jobs.members, jobs.results):
        with pytest.raises(NotFoundError):
            ask(job.id, tenant="other")
    with pytest.raises(NotFoundError):
        jobs.withdraw(job.id, by="eve", now=now, tenant="other")
    with pytest.raises(NotFoundError, match="no device is meant"):
        jobs.bench(world.bundle, by="eve", now=now, tenant="other")


def test_lists_are_of_those_that_go_on_or_are_over(world: JobWorld) -> None:
    world.world.add("cam-1")
    first = world.bench()
    world.world.later(seconds=1)
    second = world.bench(terms=Terms(when="now"))
    world.turn()
    world.say(job_result(first, "cam-1"))
    assert [one.id for one in world.jobs.list()] == [second.id, first.id]
    assert [one.id for one in world.jobs.list(active=True)] == [second.id]
    assert [one.id for one in world.jobs.list(active=False)] == [first.id]
    assert world.jobs.list(bundle="sha256:" + "0" * 64) == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(drawn=documents(JobResult), data=st.data())
def test_whatever_comes_is_receipted_and_believed_only_where_it_is_of_the_job(
    asked: tuple[JobWorld, Job], drawn: JobResult, data: st.DataObject
) -> None:
    world, job = asked
    likely = {"device": "cam-1", "id": job.id, "results": (bench_result(job, "cam-1"),)}
    chosen = data.draw(st.sets(st.sampled_from(sorted(likely))))
    result = msgspec.structs.replace(drawn, **{name: likely[name] for name in chosen})
    payload = bytearray(sent(result, "cam-1")[1])
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(payload) - 1))
        payload[place] = data.draw(st.integers(0, 255))
    topic = Topic(TENANT, "cam-1", Kind.JOB_RESULT)
    [receipt] = world.jobs.take([(topic, bytes(payload))], world.world.now)
    assert receipt.digest == digest(bytes(payload))
    assert {one.device for one in world.jobs.results(job.id)} <= {"cam-1"}
    assert all(one.bundle == job.bundle for one in world.jobs.results(job.id))
    [member] = world.jobs.members(job.id)
    assert len(member.why) <= 300
    assert member.why.isprintable()


# Let go of.


def measured_by(world: JobWorld, *names: str) -> Job:
    job = world.bench()
    world.turn()
    assert all(one.fault is None for one in world.say(*(job_result(job, name) for name in names)))
    return job


def kept(world: JobWorld) -> list[tuple[int, str]]:
    return [(one.number, one.result.device) for one in world.jobs.measurements()]


def test_old_measurements_go_but_the_newest_of_each_device_and_artifact(world: JobWorld) -> None:
    world.world.add("cam-1", "cam-2")
    first = measured_by(world, "cam-1", "cam-2")
    measured_by(world, "cam-1", "cam-2")
    keep = Retention(measurements_for=timedelta(days=1), jobs_for=timedelta(days=1))
    world.jobs.forget(world.world.now, keep)
    assert [number for number, _ in kept(world)] == [1, 2, 3, 4]
    assert len(world.jobs.list()) == 2
    later = world.world.now + timedelta(days=2)
    world.jobs.forget(later, keep)
    assert kept(world) == [(3, "cam-1"), (4, "cam-2")]
    [left] = world.jobs.list()
    assert left.id != first.id, "nothing is left of the first"
    measured_by(world, "cam-1", "cam-2")
    assert kept(world)[-1] == (6, "cam-2"), "a number comes once"


def test_more_measurements_of_one_artifact_on_one_device_than_are_kept_go(world: JobWorld) -> None:
    world.world.add("cam-1", "cam-2")
    for _ in range(3):
        measured_by(world, "cam-1", "cam-2")
    world.jobs.forget(world.world.now, Retention(measurements=2))
    assert kept(world) == [(3, "cam-1"), (4, "cam-2"), (5, "cam-1"), (6, "cam-2")]


def test_a_job_that_goes_on_is_never_let_go(asked: tuple[JobWorld, Job]) -> None:
    world, job = asked
    world.jobs.forget(world.world.now + timedelta(days=9999))
    assert [one.id for one in world.jobs.list()] == [job.id]
