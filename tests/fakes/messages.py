# SPDX-License-Identifier: Apache-2.0
"""Both ends of what devices say: an agent that only sends, and a cloud that only counts.

The device also runs as a program: `python -m tests.fakes.messages STATE IDENTITY MESSAGES` puts so
many messages, says `+DIGEST` after each, `session ID` when it is connected, `done` when the cloud
has all of them, and then waits to be killed.
"""

import os
import queue
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from insight_cloud.platform.publisher import Outgoing, Publisher
from insight_cloud.platform.subscriber import Subscriber
from insight_edge.documents.codec import decode_json, digest, encode_wire
from insight_edge.documents.delivery import Ack
from insight_edge.documents.enrolment import Broker, Identity
from insight_edge.documents.topics import Kind, Topic
from insight_edge.errors import LinkError
from insight_edge.fleet.link.events import Connected, LinkEvent
from insight_edge.fleet.link.forward import forward, settle
from insight_edge.fleet.link.link import Link
from insight_edge.fleet.link.outbox import Outbox
from insight_edge.fleet.link.queueing import KEPT
from tests.fakes.broker import CLOUD_SWIFT, PATIENCE_S, SWIFT

HASTE = 100.0
"""Seconds of the device's clock a second: what is sent again after 15 s is so after 150 ms."""

BEAT_S = 0.02


class Device:
    """An outbox and a link, turned by whoever waits for something."""

    def __init__(self, state: Path, me: Identity) -> None:
        self.outbox = Outbox(state / "agent.sqlite")
        self.events: queue.Queue[LinkEvent] = queue.Queue()
        self.sessions: list[str] = []
        self.link = Link(me, self.events.put, pace=SWIFT)

    def put(self, count: int, chance: random.Random) -> set[str]:
        """Put messages of all kinds and sizes, and return their digests."""
        payloads = [chance.randbytes(chance.randrange(16, 9_000)) for _ in range(count)]
        return {self.outbox.put(chance.choice(KEPT), payload) for payload in payloads}

    def turn_until(self, holds: Callable[[], bool]) -> None:
        """Send and settle until something holds."""
        deadline_s = time.monotonic() + 2 * PATIENCE_S
        while not holds():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"still waiting: {self.outbox.waiting}")
            self.turn()

    def turn(self) -> None:
        forward(self.outbox, self.link, time.monotonic() * HASTE)
        try:
            news = [self.events.get(timeout=BEAT_S)]
        except queue.Empty:
            return
        while not self.events.empty():
            news.append(self.events.get())
        for event in news:
            if isinstance(event, Connected):
                self.sessions.append(event.session)
            settle(self.outbox, event, time.monotonic() * HASTE)

    def close(self) -> None:
        self.link.close()
        self.outbox.close()


class CountingCloud(threading.Thread):
    """Commits what comes to memory, and tells devices so.

    Attributes:
        committed: how often each digest came.
        careless: how many batches are committed, and then neither acknowledged nor told of.
    """

    def __init__(self, login: Broker, *, careless: int = 0, name: str = "ingester") -> None:
        super().__init__()
        self.committed: Counter[str] = Counter()
        self.careless = careless
        self._taking = Subscriber(login, name=name, group="i", kinds=KEPT, pace=CLOUD_SWIFT)
        self._saying = Publisher(login, name=f"{name}-says", pace=CLOUD_SWIFT)
        self.start()

    @property
    def connected(self) -> bool:
        return self._taking.connected

    def run(self) -> None:
        for batch in self._taking.batches(max_rows=50, wait_s=0.01):
            received: dict[tuple[str, str], list[str]] = {}
            for topic, payload in batch.messages:
                self.committed[digest(payload)] += 1
                received.setdefault(topic[:2], []).append(digest(payload))
            if self.careless:
                self.careless -= 1
                continue
            try:
                self._saying.publish_all(
                    Outgoing(Topic(*who, Kind.ACK), encode_wire(Ack(received=tuple(names))))
                    for who, names in received.items()
                )
            except LinkError:
                continue  # they were not told, and send again
            batch.acknowledge()

    def close(self) -> None:
        self._saying.close()
        self._taking.close()
        self.join()


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def main(state: Path, me: Identity, count: int) -> None:
    device = Device(state, me)
    device.turn_until(lambda: bool(device.sessions))
    say(f"session {device.sessions[0]}")
    chance = random.Random(count)  # noqa: S311 - to be repeated, not secret
    for _ in range(count):
        for name in device.put(1, chance):
            say(f"+{name}")
        device.turn()
    device.turn_until(lambda: not device.outbox.waiting)
    say("done")
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), decode_json(Identity, Path(sys.argv[2]).read_bytes()), int(sys.argv[3]))
