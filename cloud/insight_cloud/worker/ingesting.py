# SPDX-License-Identifier: Apache-2.0
"""Take what devices say, and tell each of them what was committed.

A batch is stored in one transaction; only then are its messages acknowledged, to
the device (which forgets them) and to the broker (which brings no more of them).
It connects to nothing itself.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from insight_cloud.devices.service import Devices
from insight_cloud.jobs.service import Jobs
from insight_cloud.platform.publisher import Outgoing
from insight_cloud.telemetry.service import Telemetry
from insight_edge.documents.codec import encode_wire
from insight_edge.documents.delivery import Ack
from insight_edge.documents.topics import Kind, Topic

STATES: Final = frozenset({Kind.BIRTH, Kind.DEATH, Kind.REPORTED})
COUNTED: Final = frozenset({Kind.REPORT, Kind.PREDICTION, Kind.SAMPLE, Kind.OUTCOME})
RESULTS: Final = frozenset({Kind.JOB_RESULT})

KEPT: Final = COUNTED | RESULTS
"""What a device keeps until it is acknowledged."""

NOTED: Final = timedelta(seconds=5)
"""For so long it is not noted again that a device was there."""

_log = logging.getLogger(__name__)

Messages = Sequence[tuple[Topic, bytes]]


class Publishes(Protocol):
    """What a publisher is to the ingester and the worker."""

    def publish_all(self, messages: Iterable[Outgoing]) -> None:
        """Hand messages to the broker, and wait until it has them."""
        ...


class Ingesting:
    """Stores batches and acknowledges them to their devices."""

    def __init__(
        self,
        devices: Devices,
        telemetry: Telemetry,
        jobs: Jobs,
        publisher: Publishes,
        clock: Callable[[], datetime],
    ) -> None:
        self._devices = devices
        self._telemetry = telemetry
        self._jobs = jobs
        self._publisher = publisher
        self._clock = clock
        self._seen: dict[tuple[str, str], datetime] = {}

    def take(self, messages: Messages) -> None:
        """Store a batch, whatever is in it, and tell its devices.

        Raises:
            StorageError: nothing of it may be acknowledged to the broker; it comes again.
            LinkError: devices were not told; their messages come again and are duplicates then.
        """
        now = self._clock()
        for heard in self._devices.hear([m for m in messages if m[0].kind in STATES], now):
            if heard.fault:
                _log.warning("a state was left out: %s", heard.fault)
        received: dict[tuple[str, str], list[str]] = {}
        for topic, name in (*self._count(messages, now), *self._keep_results(messages, now)):
            received.setdefault((topic.tenant, topic.device), []).append(name)
        self._note(received.keys(), now)
        self._tell(received)

    def _count(self, messages: Messages, now: datetime) -> list[tuple[Topic, str]]:
        """Store what devices count, and return whose it is and its digest."""
        counted = [m for m in messages if m[0].kind in COUNTED]
        receipts = self._telemetry.ingest(counted, now)
        return [(m[0], receipt.digest) for m, receipt in zip(counted, receipts, strict=True)]

    def _keep_results(self, messages: Messages, now: datetime) -> list[tuple[Topic, str]]:
        """Keep what came of jobs, and return whose it is and its digest."""
        results = [m for m in messages if m[0].kind in RESULTS]
        receipts = self._jobs.take(results, now)
        pairs = list(zip(results, receipts, strict=True))
        suspects = [(*m, receipt.fault) for m, receipt in pairs if receipt.fault is not None]
        self._telemetry.put_away(suspects, now)
        return [(m[0], receipt.digest) for m, receipt in pairs]

    def _note(self, whose: Collection[tuple[str, str]], now: datetime) -> None:
        """Note that devices are there, each now and then: the fleet looks no closer."""
        self._seen = {device: at for device, at in self._seen.items() if at <= now < at + NOTED}
        fresh = [device for device in whose if device not in self._seen]
        self._devices.saw(fresh, now)
        self._seen |= dict.fromkeys(fresh, now)

    def _tell(self, received: Mapping[tuple[str, str], list[str]]) -> None:
        self._publisher.publish_all(
            [
                Outgoing(Topic(*whose, Kind.ACK), encode_wire(Ack(received=tuple(digests))))
                for whose, digests in received.items()
            ]
        )
