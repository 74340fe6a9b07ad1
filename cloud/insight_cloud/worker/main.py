# SPDX-License-Identifier: Apache-2.0
"""The worker process: `python -m insight_cloud.worker.main`, set up over standard input.

It acts on time: lets devices know what they should run and do, asks them for samples, adds
up what they counted, judges it, opens and runs pipelines, signs again what expires.
"""

import logging
import os
import signal
import sys
import threading
from contextlib import closing

from insight_cloud.installation import Installation, open_installation
from insight_cloud.platform.child import setup_from_stdin
from insight_cloud.platform.clock import now
from insight_cloud.platform.presigned import Presigner
from insight_cloud.platform.publisher import Publisher
from insight_cloud.platform.setup import Setup
from insight_cloud.worker.adding import AddingUp
from insight_cloud.worker.asking import Asking
from insight_cloud.worker.assigning import Assigning
from insight_cloud.worker.commissioning import Commissioning
from insight_cloud.worker.duty import TICK_S, Duty, Lane
from insight_cloud.worker.labelling import label
from insight_cloud.worker.pipelining import Pipelining, pipelining_over
from insight_cloud.worker.rolling import Rolling

MINUTE_S = 60.0
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def lanes(
    setup: Setup, cloud: Installation, publisher: Publisher, pipelining: Pipelining
) -> dict[str, list[Duty]]:
    """Return what the worker does, by lane."""
    devices, telemetry, releases = cloud.devices, cloud.telemetry, cloud.releases
    presigner = Presigner(setup.settings().state / "upload.secret")
    asking = Asking(devices, telemetry, publisher, presigner, setup.address, now)
    return {
        "fleet": [
            Duty("rolling out", 1.0, Rolling(cloud.rollouts, now).run),
            Duty("assigning", TICK_S, Assigning(devices, releases, publisher, now).run),
            Duty("jobs", 1.0, Commissioning(cloud.jobs, releases, publisher, now).run),
            Duty("asking for samples", TICK_S, asking.run),
            Duty("labelling", 1.0, lambda: label(cloud.labels, now())),
            Duty("pipelines", 1.0, pipelining.run),
        ],
        "telemetry": [
            Duty("adding up", TICK_S, AddingUp(telemetry, now).run),
            Duty("logging results", MINUTE_S, lambda: telemetry.flush(now()), at_end=True),
        ],
        "monitoring": [Duty("monitoring", 1.0, lambda: cloud.monitoring.run(now()))],
        "keeping": [
            Duty("signing", HOUR_S, lambda: releases.renew(now=now())),
            # It reads whole tables, and nothing is kept for less than days.
            Duty("letting go", DAY_S, lambda: telemetry.forget(now())),
            Duty("letting measurements go", DAY_S, lambda: cloud.jobs.forget(now())),
        ],
    }


def main() -> None:
    """Work until the process is ended."""
    setup = setup_from_stdin(Setup)
    logging.basicConfig(level=logging.INFO, format="worker: %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with (
        open_installation(setup.settings()) as cloud,
        closing(pipelining_over(cloud, now)) as pipelining,
    ):
        publisher = Publisher(setup.broker.for_cloud(), name=f"worker-{os.getpid()}")
        try:
            work = [
                Lane(name, duties, stop)
                for name, duties in lanes(setup, cloud, publisher, pipelining).items()
            ]
            for lane in work:
                lane.start()
            for lane in work:
                lane.join()
        finally:
            publisher.close()
    if any(lane.failed for lane in work):
        sys.exit(1)


if __name__ == "__main__":
    main()
