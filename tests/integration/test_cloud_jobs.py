# SPDX-License-Identifier: Apache-2.0
"""Jobs over a real broker: told, signed, to devices that are there; results acknowledged once."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from insight_cloud.jobs.rules import AGAIN
from insight_cloud.platform.broker import EmbeddedBroker
from insight_cloud.platform.publisher import Outgoing, Publisher
from insight_cloud.platform.subscriber import Subscriber
from insight_cloud.worker.commissioning import Commissioning
from insight_cloud.worker.ingesting import KEPT, STATES, Ingesting, Messages
from insight_edge.documents.codec import decode_json, decode_wire, digest, encode_wire
from insight_edge.documents.delivery import Ack
from insight_edge.documents.desired import Directors, Envelope
from insight_edge.documents.job import Job as Order
from insight_edge.documents.job import JobState
from insight_edge.documents.topics import Kind, Topic
from insight_edge.errors import LinkError
from tests.fakes.broker import CLOUD_SWIFT, Stranger, cloud_login, running_broker, stranger, until
from tests.fakes.measuring_world import JobWorld, job_result, open_jobs, sent
from tests.fakes.rollout_world import make_world

DEVICE = "cam-1"
TOPIC = str(Topic("default", DEVICE, Kind.JOB))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jobs") / "template"
    make_world(folder)
    return folder


@pytest.fixture
def world(template: Path, tmp_path: Path) -> Iterator[JobWorld]:
    with open_jobs(template, tmp_path / "world") as world:
        world.world.add(DEVICE, "cam-2")
        yield world


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with running_broker(tmp_path_factory.mktemp("mqtt")) as running:
        yield running


@pytest.fixture
def device(broker: EmbeddedBroker) -> Iterator[Stranger]:
    with stranger(broker.login_of(broker.access.shared)) as one:
        yield one


@pytest.fixture
def publisher(broker: EmbeddedBroker) -> Iterator[Publisher]:
    with closing(Publisher(cloud_login(broker), name="says", pace=CLOUD_SWIFT)) as one:
        yield one


class Post:
    """Keeps what is published; `broken` takes nothing."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.broken = False

    def publish_all(self, messages: Iterable[Outgoing]) -> None:
        if self.broken:
            raise LinkError("no broker")
        self.sent += messages


def ingesting(world: JobWorld, post: Post | Publisher) -> Ingesting:
    inner = world.world
    return Ingesting(inner.devices, inner.telemetry, world.jobs, post, lambda: inner.now)


def commissioning(world: JobWorld, post: Post | Publisher) -> Commissioning:
    return Commissioning(world.jobs, world.world.releases, post, lambda: world.world.now)


def take(subscriber: Subscriber, ingesting: Ingesting, most: int) -> None:
    """Take messages in until so many came."""
    came = 0
    for batch in subscriber.batches():
        ingesting.take(batch.messages)
        batch.acknowledge()
        came += len(batch.messages)
        if came >= most:
            return


def test_a_device_is_told_by_the_director_and_its_result_is_acknowledged(
    world: JobWorld, broker: EmbeddedBroker, device: Stranger, publisher: Publisher
) -> None:
    acks = str(Topic("default", DEVICE, Kind.ACK))
    device.subscribe(TOPIC, acks)
    subscriber = Subscriber(
        cloud_login(broker), name="in", group="g", kinds=KEPT, in_order=STATES, pace=CLOUD_SWIFT
    )
    with closing(subscriber):
        until(lambda: subscriber.connected)
        job = world.bench(DEVICE)
        assert commissioning(world, publisher).run() == 1
        topic, payload = device.next()
        envelope = decode_wire(Envelope, payload)
        assert topic == TOPIC
        order = decode_json(Order, envelope.payload.encode())
        assert (order.id, order.device, order.bench.bundle) == (job.id, DEVICE, job.bundle)
        check_signature(world, envelope)
        said = sent(job_result(job, DEVICE))
        junk = (said[0], encode_wire(job_result(job, DEVICE, id="bench-0")))
        for one in (said, said, junk):
            device.publish(str(one[0]), one[1])
        take(subscriber, ingesting(world, publisher), 3)
        received: list[str] = []
        while len(received) < 3:
            topic, payload = device.next()
            assert topic == acks
            received += decode_wire(Ack, payload).received
    assert sorted(received) == sorted([digest(said[1])] * 2 + [digest(junk[1])])
    assert world.states(job) == {DEVICE: "done"}
    assert len(world.jobs.results(job.id)) == 1
    [away] = world.world.telemetry.quarantined(device=DEVICE)
    assert (away.kind, away.fault, away.reason) == (
        "job/result",
        "NotFoundError",
        "there is no job 'bench-0'",
    )


def check_signature(world: JobWorld, envelope: Envelope) -> None:
    listed = next((world.world.folder / "tuf" / "targets").glob("*.directors.json"))
    keys = {one.key: one.public for one in decode_json(Directors, listed.read_bytes()).keys}
    [signature] = envelope.signatures
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(keys[signature.key]))
    public.verify(bytes.fromhex(signature.value), envelope.payload.encode())


def orders(post: Post) -> list[tuple[str, bool, bool]]:
    """Return device, whether it is withdrawn, and whether the broker is to retain it."""
    made, post.sent = post.sent, []
    read = [
        (one, decode_json(Order, decode_wire(Envelope, one.payload).payload.encode()))
        for one in made
    ]
    return [(one.topic.device, order.withdrawn, one.retain) for one, order in read]


def test_it_is_said_to_those_that_are_there_until_they_know(world: JobWorld) -> None:
    post = Post()
    duty = commissioning(world, post)
    world.world.offline("cam-2")
    job = world.bench(DEVICE, "cam-2")
    post.broken = True
    with pytest.raises(LinkError):
        duty.run()
    post.broken = False
    assert (duty.run(), duty.run()) == (1, 0)
    assert orders(post) == [(DEVICE, False, False)]
    world.world.now += AGAIN
    world.world.online("cam-2")
    assert duty.run() == 2
    assert {device for device, _, _ in orders(post)} == {DEVICE, "cam-2"}
    world.tell(DEVICE, JobState(id=job.id, phase="waiting"))
    world.world.now += AGAIN
    duty.run()
    assert orders(post) == [("cam-2", False, False)]
    world.jobs.withdraw(job.id, by="ann", now=world.world.now)
    duty.run()
    assert sorted(orders(post)) == [(DEVICE, True, False), ("cam-2", True, False)]


def test_another_worker_goes_on_where_one_was_killed(world: JobWorld) -> None:
    """It was published and not noted: said once more, which a device takes for one."""
    post = Post()
    world.bench(DEVICE)
    world.jobs.follow(world.world.now)  # a worker that died before it noted what it said
    assert commissioning(world, post).run() == 1
    world.world.now += AGAIN - timedelta(seconds=1)
    assert commissioning(world, post).run() == 0


def test_a_batch_of_all_kinds_is_stored_and_acknowledged_by_device(world: JobWorld) -> None:
    post = Post()
    job = world.bench(DEVICE, "cam-2")
    for order in world.jobs.follow(world.world.now):
        world.jobs.told(order, world.world.now)
    batch: Messages = [
        sent(job_result(job, DEVICE)),
        sent(job_result(job, "cam-2"), DEVICE),
        (Topic("default", "cam-2", Kind.JOB_RESULT), b"nothing of ours"),
    ]
    ingesting(world, post).take(batch)
    ingesting(world, post).take(batch)
    told = [(one.topic.device, decode_wire(Ack, one.payload).received) for one in post.sent]
    mine = tuple(digest(payload) for _, payload in batch[:2])
    theirs = (digest(batch[2][1]),)
    assert told == [(DEVICE, mine), ("cam-2", theirs)] * 2
    away = world.world.telemetry.quarantined()
    assert {(one.device, one.fault) for one in away} == {
        (DEVICE, "WrongDeviceError"),
        ("cam-2", "DocumentError"),
    }
    assert world.states(job) == {DEVICE: "done", "cam-2": "told"}
