# SPDX-License-Identifier: Apache-2.0
"""Ask devices for samples that somebody wants, and tell them where to put each.

An address works for one file, of one device, for a while; a device that was away is
told again.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from insight_cloud.devices.service import Devices
from insight_cloud.platform.presigned import Presigner, Upload
from insight_cloud.platform.publisher import Outgoing
from insight_cloud.platform.schema import TENANT
from insight_cloud.telemetry.samples import Sample
from insight_cloud.telemetry.service import Telemetry
from insight_cloud.worker.ingesting import Publishes
from insight_edge.documents.codec import encode_wire
from insight_edge.documents.delivery import Ack
from insight_edge.documents.topics import Kind, Topic

VALID: Final = timedelta(minutes=15)
AGAIN: Final = timedelta(minutes=1)
AT_ONCE: Final = 32
"""Asked of a device and not brought yet; more are asked for as these arrive."""

PATIENCE: Final = timedelta(seconds=5)
"""What has not come by then holds nothing up: the device may have forgotten it at a restart."""


class Asking:
    """Tells devices where to put what they are asked for."""

    def __init__(
        self,
        devices: Devices,
        telemetry: Telemetry,
        publisher: Publishes,
        presigner: Presigner,
        address: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._devices = devices
        self._telemetry = telemetry
        self._publisher = publisher
        self._presigner = presigner
        self._address = address
        self._clock = clock
        self._asked: dict[tuple[str, str, str], datetime] = {}

    def run(self) -> None:
        """Ask every device that is there for what it has not brought yet.

        Raises:
            LinkError: the broker did not take it; it is asked at the next call.
        """
        now = self._clock()
        self._asked = {one: at for one, at in self._asked.items() if now - at < AGAIN}
        for device in self._devices.online(self._telemetry.asked_devices(tenant=TENANT)):
            self._ask(TENANT, device, now)

    def _ask(self, tenant: str, device: str, now: datetime) -> None:
        wanted = {
            (tenant, device, one.digest): one
            for one in self._telemetry.wanted_uploads(device, tenant=tenant)
        }
        fresh = [whose for whose in wanted if whose not in self._asked]
        waits = [self._asked[whose] for whose in wanted if whose in self._asked]
        under_way = sum(now - at < PATIENCE for at in waits)
        fresh = fresh[: max(0, AT_ONCE - under_way)]
        if not fresh:
            return
        uploads = {whose[-1]: self._upload_address(tenant, wanted[whose], now) for whose in fresh}
        topic = Topic(tenant, device, Kind.ACK)
        self._publisher.publish_all([Outgoing(topic, encode_wire(Ack(uploads=uploads)))])
        self._asked |= dict.fromkeys(fresh, now)

    def _upload_address(self, tenant: str, sample: Sample, now: datetime) -> str:
        upload = Upload(
            tenant=tenant,
            device=sample.device,
            digest=sample.digest,
            length_bytes=sample.length_bytes,
            expires_s=int((now + VALID).timestamp()),
        )
        return f"{self._address}/v1/samples?{self._presigner.query(upload)}"
