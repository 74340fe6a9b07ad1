# SPDX-License-Identifier: Apache-2.0
"""The worker process: `python -m insight_cloud.worker.main`, set up over standard input.

It acts on time: lets devices know what they should run, asks them for samples, adds
up what they counted, signs again what expires. One thread, one duty after another;
a duty that fails is tried at its next turn.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from insight_cloud.installation import Installation, open_installation
from insight_cloud.platform.child import setup_from_stdin
from insight_cloud.platform.clock import now
from insight_cloud.platform.presigned import Presigner
from insight_cloud.platform.publisher import Publisher
from insight_cloud.platform.setup import Setup
from insight_cloud.worker.asking import Asking
from insight_cloud.worker.assigning import Assigning
from insight_edge.errors import InsightEdgeError

TICK_S = 0.5
HOUR_S = 3600.0

_log = logging.getLogger(__name__)


@dataclass
class Duty:
    """Something that is done every so often; for the first time at once."""

    name: str
    each_s: float
    do: Callable[[], object]
    due_s: float = 0.0

    def turn(self, now_s: float) -> None:
        """Do it, if it is time."""
        if now_s < self.due_s:
            return
        self.due_s = now_s + self.each_s
        try:
            self.do()
        except InsightEdgeError as error:
            _log.warning("%s: %s", self.name, error)


def duties(setup: Setup, cloud: Installation, publisher: Publisher) -> list[Duty]:
    """Return what the worker does."""
    devices, telemetry, releases = cloud.devices, cloud.telemetry, cloud.releases
    presigner = Presigner(setup.settings().state / "upload.secret")
    assigning = Assigning(devices, releases, publisher, now)
    asking = Asking(devices, telemetry, publisher, presigner, setup.address, now)
    return [
        Duty("assigning", TICK_S, assigning.run),
        Duty("asking for samples", 2.0, asking.run),
        Duty("adding up", TICK_S, lambda: telemetry.roll_up(now())),
        Duty("signing", HOUR_S, lambda: releases.renew(now=now())),
        Duty("letting go", HOUR_S, lambda: telemetry.forget(now())),
    ]


def main() -> None:
    """Work until the process is ended."""
    setup = setup_from_stdin(Setup)
    logging.basicConfig(level=logging.INFO, format="worker: %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with open_installation(setup.settings()) as cloud:
        publisher = Publisher(setup.broker.for_cloud(), name=f"worker-{os.getpid()}")
        try:
            work = duties(setup, cloud, publisher)
            while not stop.wait(TICK_S):
                for duty in work:
                    duty.turn(time.monotonic())
        finally:
            publisher.close()


if __name__ == "__main__":
    main()
