# SPDX-License-Identifier: Apache-2.0
"""Who takes messages from a broker, each in a child process of its own: bare, and the cloud.

The bare one is the client library with an empty callback. The cloud does in one
process what its ingester and its worker do in two: receive, store, add up; each
transaction is committed. It may tell the devices too, as the ingester does. A burst is
timed by the clock of the processor's own time, which stands still while nothing comes,
and by the wall's.
"""

import gc
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from benchmarks.reports import known_bundle
from insight_cloud.devices.service import Devices
from insight_cloud.jobs.service import Jobs
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.database import open_database
from insight_cloud.platform.migration import ensure_current
from insight_cloud.platform.publisher import Publisher
from insight_cloud.platform.subscriber import Subscriber
from insight_cloud.registry.service import Registry
from insight_cloud.releases.keys import Keys
from insight_cloud.releases.service import Releases
from insight_cloud.telemetry.service import Telemetry
from insight_cloud.worker.adding import AddingUp
from insight_cloud.worker.ingesting import COUNTED, STATES, Ingesting
from insight_edge.documents.enrolment import Broker
from insight_edge.documents.topics import Kind, subscription
from insight_edge.errors import MeasurementError

ANSWER_TIMEOUT_S = 120.0


class Burst(NamedTuple):
    """How long some messages took.

    Attributes:
        core_ns: of processors' time, all threads together.
        wall_ns: from when it was ready to the last commit.
        adding_ns: of `core_ns`, for adding up.
    """

    core_ns: int
    wall_ns: int
    adding_ns: int = 0


class Totals(NamedTuple):
    """What the cloud holds in the end."""

    reports: int
    duplicates: int
    missing: int


Take = Callable[[int, Callable[[], None]], Burst]
"""Takes so many messages, and says when it is ready for the first."""


class Receiver:
    """A running receiver; a context manager that leaves no process behind.

    Args:
        opening: `bare`, `cloud`, `fleet`, which is another cloud, or `telling`, one that tells
            devices.
        broker: to connect to.
        place: a folder of its own.

    Raises:
        MeasurementError: the child died or hung.
    """

    def __init__(self, opening: str, broker: Broker, place: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._line, theirs = spawn.Pipe()
        arguments = (opening, broker, place, theirs)
        self._child = spawn.Process(target=_serve, args=arguments, daemon=True)
        self._child.start()
        theirs.close()

    def take(self, messages: int, publish: Callable[[], None]) -> Burst:
        """Return how long so many messages took, which are published when it is ready.

        Raises:
            MeasurementError: the child died or hung.
        """
        self._line.send(messages)
        self._hear()
        publish()
        found = self._hear()
        return Burst(*found)

    def totals(self) -> Totals:
        """Return what is held by now; nothing by the bare one.

        Raises:
            MeasurementError: the child died or hung.
        """
        self._line.send(0)
        return Totals(*self._hear())

    def __enter__(self) -> Self:
        """Return the receiver itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the child."""
        self._child.kill()
        self._child.join()
        self._line.close()

    def _hear(self) -> tuple[int, ...]:
        if not self._line.poll(ANSWER_TIMEOUT_S):
            raise MeasurementError("a receiver hangs, or a message was lost")
        try:
            found: tuple[int, ...] = self._line.recv()
        except EOFError as error:
            raise MeasurementError("a receiver ended") from error
        return found


def _serve(opening: str, broker: Broker, place: Path, line: Connection) -> None:
    openings: dict[str, Opening] = {
        "bare": _bare,
        "cloud": partial(_cloud, name="cloud"),
        "fleet": partial(_cloud, name="fleet"),
        "telling": partial(_cloud, name="telling", tells=True),
    }
    with openings[opening](broker, place) as (take, totals):
        gc.collect()
        gc.freeze()
        while True:
            messages = line.recv()
            if messages:
                line.send(tuple(take(messages, lambda: line.send(()))))
            else:
                line.send(tuple(totals()))


Serving = tuple[Take, Callable[[], Totals]]
Opening = Callable[[Broker, Path], AbstractContextManager[Serving]]


@contextmanager
def _bare(broker: Broker, place: Path) -> Iterator[Serving]:
    from paho.mqtt import client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    del place

    def take(messages: int, ready: Callable[[], None]) -> Burst:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=mqtt.MQTTv5)
        client.username_pw_set(broker.username, broker.password)
        subscribed, came = False, 0

        def on_connect(*_: object) -> None:
            client.subscribe(subscription(Kind.REPORT), qos=1)

        def on_subscribe(*_: object) -> None:
            nonlocal subscribed
            subscribed = True

        def on_message(*_: object) -> None:
            nonlocal came
            came += 1

        client.on_subscribe, client.on_message = on_subscribe, on_message
        client.on_connect = on_connect
        client.connect(broker.host, broker.port)
        while not subscribed:
            client.loop()
        begin = _clocks()
        ready()
        while came < messages:
            client.loop()
        found = _since(begin)
        client.disconnect()
        return found

    yield take, lambda: Totals(0, 0, 0)


@contextmanager
def _cloud(broker: Broker, place: Path, *, name: str, tells: bool = False) -> Iterator[Serving]:
    database = open_database(place / name / "cloud.sqlite")
    ensure_current(database)
    known = known_bundle()
    telemetry = Telemetry(database, lambda _: known, place / "log")
    publisher = Publisher(broker, name=f"{name}-ack")
    devices, blobs = Devices(database), open_blobs(place / name / "blobs")
    releases = Releases(database, blobs, place / name / "tuf", Keys(place / name / "keys"))
    jobs = Jobs(database, devices, releases, Registry(database, blobs))
    ingesting = Ingesting(devices, telemetry, jobs, publisher, _now)
    adding = AddingUp(telemetry, _now)

    def take(messages: int, ready: Callable[[], None]) -> Burst:
        subscriber = Subscriber(broker, name=name, group=name, kinds=COUNTED, in_order=STATES)
        while not subscriber.connected:
            time.sleep(0.01)
        begin, came = _clocks(), 0
        ready()
        for batch in subscriber.batches():
            if tells:
                ingesting.take(batch.messages)
            else:
                telemetry.ingest(batch.messages, _now())
            batch.acknowledge()
            came += len(batch.messages)
            if came >= messages:
                break
        adding_ns = time.process_time_ns()
        while adding.run():
            pass
        found = _since(begin)._replace(adding_ns=time.process_time_ns() - adding_ns)
        subscriber.close()
        return found

    def totals() -> Totals:
        found = telemetry.health().values()
        return Totals(
            reports=sum(each.merged for each in found),
            duplicates=sum(each.duplicates for each in found),
            missing=sum(each.missing for each in found),
        )

    yield take, totals
    publisher.close()
    database.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _clocks() -> tuple[int, int]:
    return time.process_time_ns(), time.perf_counter_ns()


def _since(begin: tuple[int, int]) -> Burst:
    return Burst(*(now - then for now, then in zip(_clocks(), begin, strict=True)))
