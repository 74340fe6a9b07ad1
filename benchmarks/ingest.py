# SPDX-License-Identifier: Apache-2.0
"""What the cloud does with a report, over what merely receiving it takes.

The cloud receives, stores and adds up to totals and segments, all of it committed to
SQLite. Its peer is paho-mqtt with an empty callback, at the same broker,
of such reports. Both get bursts in turn. A broker of one thread is slower than
either, so the *core time* of the receiving process is compared, which stands still
while it waits: a ratio of 2 is half the bare rate per second and core.

That the broker brings and the cloud commits each report once is checked.

In a burst are fifty reports of each of a few devices, as after an outage, or one of each of a
thousand, as in a fleet: then each has totals of its own to be added to.

What it takes to tell the devices so comes on top: one message for all reports of a device
in a batch.

Expected: 45 µs bare where system calls are quick and 66 in the cloud: 8 to receive, since it
reads many packets with one system call and makes no object of them, 38 to read, check and
store, 20 to add up, 36 of a thousand devices; 15 to tell devices. Beside broker and devices it
came out 10 above that, of a thousand devices 20.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure, figure_from_estimate
from benchmarks.receiving import Burst, Receiver
from benchmarks.reports import ROWS, messages
from insight_cloud.platform.broker import EmbeddedBroker
from insight_cloud.platform.publisher import Outgoing, Publisher
from insight_edge.bench.interleave import Block, interleave
from insight_edge.documents.evidence import Interval
from insight_edge.errors import MeasurementError
from insight_edge.stats.interval import ratio_interval

NAME = "ingest"
ROUNDS = 40
BURST = 1000
BAR = 2.0
"""Half of the bare rate."""

CLOUD, BARE, TELLING = "received, stored, added up", "received by bare paho", "and told"
FLEET = "of 1000 devices"
OPENINGS = {CLOUD: "cloud", FLEET: "fleet", BARE: "bare", TELLING: "telling"}
DEVICES = {CLOUD: 20, FLEET: BURST, BARE: 20, TELLING: 20}
PUBLISH_S = 60.0


class _Timed:
    """A receiver that is timed in bursts."""

    def __init__(self, receiver: Receiver, publisher: Publisher, devices: int) -> None:
        self._receiver = receiver
        self._publisher = publisher
        self._messages = messages(devices)
        self.bursts: list[Burst] = []
        self.sizes: list[int] = []

    @property
    def taken(self) -> int:
        """How many reports it has taken by now."""
        return len(self.sizes)

    def block(self, iterations: int) -> Block:
        """Return the core time in ns that each of some reports took, the same for all."""
        some = [Outgoing(*each) for each in islice(self._messages, iterations)]
        burst = self._receiver.take(
            iterations, lambda: self._publisher.publish_all(some, timeout_s=PUBLISH_S)
        )
        self.bursts.append(burst)
        self.sizes += [len(each.payload) for each in some]
        return np.full(iterations, burst.core_ns // iterations, np.int64)

    def wall(self) -> list[Block]:
        """Return the time in ns that a report took in each burst, with all waiting."""
        return [np.array([burst.wall_ns / (BURST + 1)]) for burst in self.bursts]


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in.

    Raises:
        MeasurementError: a report was lost or counted twice, or a receiver died.
        ConfigurationError, LinkError: there is no broker.
    """
    tell("ingest: starting a broker")
    with EmbeddedBroker(place / "broker", program="iotcore") as broker:
        login = broker.login_of(broker.access.cloud)
        publisher = Publisher(login, name="devices")
        try:
            with ExitStack() as running:
                receivers = {
                    name: running.enter_context(Receiver(opening, login, place))
                    for name, opening in OPENINGS.items()
                }
                timed = {
                    name: _Timed(each, publisher, DEVICES[name]) for name, each in receivers.items()
                }
                blocks = interleave(
                    {name: (each, BURST) for name, each in timed.items()},
                    rounds=ROUNDS,
                    tell=lambda done: tell(f"ingest: round {done} of {ROUNDS}"),
                )
                for name in (CLOUD, FLEET, TELLING):
                    _check(receivers[name], timed[name].taken)
        finally:
            publisher.close()
    yield from _figures(blocks, timed)


def _check(cloud: Receiver, taken: int) -> None:
    held = cloud.totals()
    if held != (taken, 0, 0):
        raise MeasurementError(f"{taken} reports were published, but of them: {held}")


def _figures(
    blocks: Mapping[str, Sequence[Block]], timed: Mapping[str, _Timed]
) -> Iterator[Figure]:
    case = f"reports of {ROWS} rows, bursts of {BURST}"
    core_us = {name: float(np.median(np.concatenate(own))) / 1e3 for name, own in blocks.items()}
    notes = {TELLING: f"{core_us[TELLING]:.0f} µs"}
    for name in (CLOUD, FLEET):
        adding_us = float(np.median([each.adding_ns for each in timed[name].bursts])) / BURST / 1e3
        notes[name] = (
            f"{core_us[name]:.0f} against {core_us[BARE]:.0f} µs, {adding_us:.0f} of them to add "
            f"up: {1e6 / core_us[name]:.0f} a second and core, "
            f"{core_us[BARE] / core_us[name]:.2f} of the bare rate"
        )
    for name, bar in ((CLOUD, BAR), (FLEET, BAR), (TELLING, None)):
        yield figure_from_estimate(
            ratio_interval(blocks[name], blocks[BARE]),
            name=NAME,
            case=case,
            compared=(f"{name}: core time", BARE),
            rounds=ROUNDS,
            bar=bar,
            note=notes[name],
        )
    yield figure_from_estimate(
        ratio_interval(timed[CLOUD].wall(), timed[BARE].wall()),
        name=NAME,
        case=case,
        compared=(f"{CLOUD}: elapsed", BARE),
        rounds=ROUNDS,
        note="one after the other in one process, with broker and devices on the same machine",
    )
    sizes = timed[CLOUD].sizes
    yield Figure(
        name=NAME,
        case=case,
        measured="bytes of a report",
        peer=f"{ROWS} rows, 10 features",
        unit="",
        value=Interval(
            value=float(np.median(sizes)), low=min(sizes), high=max(sizes), confidence=1.0
        ),
        rounds=len(sizes),
    )
