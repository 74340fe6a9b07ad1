# SPDX-License-Identifier: Apache-2.0
"""The ingester process: `python -m insight_cloud.worker.ingester`, set up over standard input.

Any number of them share the messages of all devices between them.
"""

import logging
import os
import signal
import threading

from insight_cloud.installation import open_installation
from insight_cloud.platform.child import setup_from_stdin
from insight_cloud.platform.clock import now
from insight_cloud.platform.publisher import Publisher
from insight_cloud.platform.setup import Setup
from insight_cloud.platform.subscriber import Subscriber
from insight_cloud.worker.ingesting import KEPT, STATES, Ingesting
from insight_edge.errors import LinkError, StorageError

GROUP = "ingest"
PAUSE_S = 1.0
"""After a batch that could not be stored, or whose devices could not be told."""

_log = logging.getLogger(__name__)


def main() -> None:
    """Ingest until the process is ended."""
    setup = setup_from_stdin(Setup)
    logging.basicConfig(level=logging.INFO, format="ingester: %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    with open_installation(setup.settings()) as cloud:
        broker, name = setup.broker.for_cloud(), f"ingester-{os.getpid()}"
        publisher = Publisher(broker, name=f"{name}-ack")
        subscriber = Subscriber(broker, name=name, group=GROUP, kinds=KEPT, in_order=STATES)

        def end(*_: object) -> None:
            stop.set()
            threading.Thread(target=subscriber.close).start()

        signal.signal(signal.SIGTERM, end)
        ingesting = Ingesting(cloud.devices, cloud.telemetry, cloud.jobs, publisher, now)
        try:
            _ingest(subscriber, ingesting, stop)
        finally:
            publisher.close()


def _ingest(subscriber: Subscriber, ingesting: Ingesting, stop: threading.Event) -> None:
    for batch in subscriber.batches():
        try:
            ingesting.take(batch.messages)
        except (StorageError, LinkError) as error:
            _log.warning("a batch comes again: %s", error)
            stop.wait(PAUSE_S)
        else:
            batch.acknowledge()


if __name__ == "__main__":
    main()
