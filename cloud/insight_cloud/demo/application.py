# SPDX-License-Identifier: Apache-2.0
"""A customer's application: it classifies a stream of images with the attached runtime.

`python -m insight_cloud.demo.application STATE IMAGES RECORD CALLERS` asks from
several threads, each for ten images a second. Its standard input says `full`:
from then on as fast as it can; then `stop`: it writes what it was answered. It
closes when its standard input does. It knows nothing of swaps: they happen to it.
"""

import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insight_cloud.demo.recording import write_recording
from insight_edge.runtime.infer import Runtime

PAUSE_S = 0.1


@dataclass
class Log:
    """What one caller asked and was answered, in order."""

    asked: int = 0
    image: list[int] = field(default_factory=list)
    started_ns: list[int] = field(default_factory=list)
    latency_ns: list[int] = field(default_factory=list)
    bundle: list[str] = field(default_factory=list)
    probabilities: list[NDArray[np.float32]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Demand:
    """What the callers are told: whether to ask as fast as they can, and when to stop."""

    full: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)


def classify(
    runtime: Runtime, images: NDArray[np.uint8], first: int, log: Log, demand: Demand
) -> None:
    """Ask for one image after the other until told to stop; an exception is a failure, kept."""
    at = first
    while not demand.stop.is_set():
        index = at % len(images)
        log.asked += 1
        started_ns = time.monotonic_ns()
        try:
            result = runtime.infer({"image": images[index : index + 1]})
        except Exception as error:  # noqa: BLE001 (a customer counts whatever went wrong)
            log.failures.append(f"{type(error).__name__}: {error}")
        else:
            log.latency_ns.append(time.monotonic_ns() - started_ns)
            log.started_ns.append(started_ns)
            log.image.append(index)
            log.bundle.append(result.bundle)
            log.probabilities.append(result.outputs["probabilities"][0])
        at += 1
        if not demand.full.is_set():
            demand.full.wait(PAUSE_S)


def main() -> None:
    """Serve as standard input says, then stay attached until it ends."""
    state, images_file, record, callers = sys.argv[1:]
    with np.load(images_file, allow_pickle=False) as file:
        images = file["image"]
    logs = [Log() for _ in range(int(callers))]
    demand = Demand()
    with Runtime.attach(Path(state), allow_unsigned=True, threads=1) as runtime:
        threads = [
            threading.Thread(target=classify, args=(runtime, images, 97 * number, log, demand))
            for number, log in enumerate(logs)
        ]
        for thread in threads:
            thread.start()
        _say("serving")
        _await("full")
        demand.full.set()
        _await("stop")
        demand.stop.set()
        for thread in threads:
            thread.join()
        write_recording(Path(record), logs)
        _say("recorded")
        sys.stdin.read()


def _await(word: str) -> None:
    """Return when the word came, or when nobody is there any more to say it."""
    for line in sys.stdin:
        if line.strip() == word:
            return


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
