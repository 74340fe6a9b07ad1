# SPDX-License-Identifier: Apache-2.0
"""Let each device know what it should run, until it says that it does.

A `Desired` is signed and published, retained, for every device that has not accepted
its newest revision; again after a while, since a broker may have lost it. One
revision always says the same, its expiry too, or the device would refuse it; where
that comes near, the same content gets a new revision.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from insight_cloud.devices.device import Device, Query
from insight_cloud.devices.service import Devices
from insight_cloud.platform.publisher import Outgoing
from insight_cloud.releases.service import Releases
from insight_cloud.worker.ingesting import Publishes
from insight_edge.documents.codec import encode_wire
from insight_edge.documents.desired import Desired
from insight_edge.documents.topics import Kind, Topic

LIFETIME: Final = timedelta(days=14)
"""A device that was away for longer gets a fresh one when it is back."""

AGAIN: Final = timedelta(seconds=60)
PAGE: Final = 500


class Assigning:
    """Publishes what devices should run."""

    def __init__(
        self,
        devices: Devices,
        releases: Releases,
        publisher: Publishes,
        clock: Callable[[], datetime],
    ) -> None:
        self._devices = devices
        self._releases = releases
        self._publisher = publisher
        self._clock = clock
        self._published: dict[str, tuple[int, datetime]] = {}

    def run(self) -> int:
        """Publish what is due, and return how much that was.

        Raises:
            ConfigurationError: the director's key is not here.
            LinkError: the broker did not take one; it is published at the next call.
        """
        now, published = self._clock(), 0
        for device in self._behind():
            if self._is_due(device, now):
                self._publish(device, now)
                published += 1
        return published

    def _behind(self) -> Iterator[Device]:
        after: str | None = None
        while True:
            page = self._devices.devices(Query(behind=True, retired=False), after=after, limit=PAGE)
            yield from page.devices
            after = page.after
            if after is None:
                return

    def _is_due(self, device: Device, now: datetime) -> bool:
        revision, at = self._published.get(device.name, (0, now))
        return revision != device.desired or now - at >= AGAIN

    def _publish(self, device: Device, now: datetime) -> None:
        state = self._devices.desired(device.name, tenant=device.tenant)
        if state is None:
            return
        if now - state.at > LIFETIME / 2:
            self._devices.renew_desired(device.name, by="worker", now=now, tenant=device.tenant)
            return
        desired = Desired(
            tenant=device.tenant,
            device=device.name,
            revision=state.revision,
            expires_s=(state.at + LIFETIME).timestamp(),
            deployments=dict(state.deployments),
        )
        topic = Topic(device.tenant, device.name, Kind.DESIRED)
        envelope = self._releases.sign(desired)
        self._publisher.publish_all([Outgoing(topic, encode_wire(envelope), retain=True)])
        self._published[device.name] = (state.revision, now)
