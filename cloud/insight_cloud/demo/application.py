# SPDX-License-Identifier: Apache-2.0
"""A customer's application: it classifies a stream of images with the attached runtime.

`python -m insight_cloud.demo.application` reads its setup from the first line of
standard input. After that, `shift` lets the world look different, `stop` ends the
stream; after that `stay` lets it go on until it is killed, and the end of standard
input closes it.
Of some results it learns later what was true, and says so. It knows nothing of
models, updates or monitoring: they happen to it.
"""

import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_cloud.demo.recording import Journal
from insight_edge.bundle.slots import Slots
from insight_edge.runtime.infer import Runtime

POLL_S = 0.1


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What the application is told.

    Attributes:
        state: directory of the deployment.
        images: .npz of `images` (2, n, h, w) before and after the shift, `labels` (n,) and
            `learnt` (n,): whether the application learns later what was true of it.
        record: name of the files in which it writes down what it was answered.
        callers: threads that ask.
        rate_hz: of each of them.
        delay_s: until it learns what was true.
        seed: of the order of images.
    """

    state: str
    images: str
    record: str
    callers: int
    rate_hz: float
    delay_s: float
    seed: int


@dataclass(frozen=True)
class World:
    """What there is to see, and what is true of it."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    learnt: NDArray[np.bool_]
    shift: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)


def classify(runtime: Runtime, world: World, setup: Setup, caller: int, journal: Journal) -> None:
    """Ask for one image after the other until told to stop; an exception is a failure, kept."""
    order = np.random.default_rng((setup.seed, caller)).permutation(len(world.labels))
    due: deque[tuple[float, str, int]] = deque()
    asked = 0
    period_s, at_s = 1 / setup.rate_hz, time.monotonic()
    while not world.stop.wait(max(0.0, at_s - time.monotonic())):
        index, now = int(order[asked % len(order)]), int(world.shift.is_set())
        asked += 1
        journal.asked[caller] = asked
        id_ = _ask(runtime, world, index, now, journal)
        if id_ is not None and world.learnt[index]:
            due.append((time.monotonic() + setup.delay_s, id_, int(world.labels[index])))
        while due and due[0][0] <= time.monotonic():
            _, result, label = due.popleft()
            runtime.outcome(label, id=result)
        at_s = max(at_s + period_s, time.monotonic() - period_s)


def _ask(runtime: Runtime, world: World, index: int, now: int, journal: Journal) -> str | None:
    started_ns = time.monotonic_ns()
    try:
        result = runtime.infer({"image": world.images[now, index : index + 1]})
    except Exception as error:  # noqa: BLE001 (a customer counts whatever went wrong)
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        journal.failed(image=index, world=now, started_ns=started_ns)
        return None
    journal.answered(
        image=index,
        world=now,
        started_ns=started_ns,
        latency_ns=time.monotonic_ns() - started_ns,
        bundle=result.bundle,
        probabilities=result.outputs["probabilities"][0],
    )
    return result.id


def main() -> None:
    """Serve as standard input says, then stay attached until it ends."""
    setup = msgspec.json.decode(sys.stdin.readline(), type=Setup)
    with np.load(setup.images, allow_pickle=False) as file:
        world = World(file["images"], file["labels"], file["learnt"])
    while Slots(Path(setup.state)).committed is None:
        time.sleep(POLL_S)
    journal = Journal(Path(f"{setup.record}.{time.time_ns()}"), setup.callers)
    with Runtime.attach(Path(setup.state), threads=1) as runtime:
        threads = _asking(runtime, world, setup, journal)
        _say("serving")
        for line in sys.stdin:
            if line.strip() == "shift":
                world.shift.set()
            elif line.strip() == "stop":
                break
        world.stop.set()
        for thread in threads:
            thread.join()
        _say("stopped")
        if sys.stdin.readline().strip() == "stay":
            world.stop.clear()
            for thread in _asking(runtime, world, setup, journal):
                thread.join()


def _asking(
    runtime: Runtime, world: World, setup: Setup, journal: Journal
) -> list[threading.Thread]:
    """Return the threads that ask, started."""
    threads = [
        threading.Thread(target=classify, args=(runtime, world, setup, number, journal))
        for number in range(setup.callers)
    ]
    for thread in threads:
        thread.start()
    return threads


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
