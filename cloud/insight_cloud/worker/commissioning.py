# SPDX-License-Identifier: Apache-2.0
"""Tell devices what they are asked to do once, until they say that they know.

A `Job` is signed and published, not retained, to devices that are there; again after
a while, since a broker may have lost it. Which are due is for `jobs` to say.
"""

from collections.abc import Callable
from datetime import datetime

from insight_cloud.jobs.service import Jobs
from insight_cloud.platform.publisher import Outgoing
from insight_cloud.releases.service import Releases
from insight_cloud.worker.ingesting import Publishes
from insight_edge.documents.codec import encode_wire
from insight_edge.documents.topics import Kind, Topic


class Commissioning:
    """Takes jobs further, and publishes what devices are to be told of them."""

    def __init__(
        self, jobs: Jobs, releases: Releases, publisher: Publishes, clock: Callable[[], datetime]
    ) -> None:
        self._jobs = jobs
        self._releases = releases
        self._publisher = publisher
        self._clock = clock

    def run(self) -> int:
        """Publish what is due, and return how much that was.

        Raises:
            ConfigurationError: the director's key is not here.
            LinkError: the broker did not take one; it is published at the next call.
        """
        now, published = self._clock(), 0
        for order in self._jobs.follow(now):
            topic = Topic(order.tenant, order.device, Kind.JOB)
            envelope = self._releases.sign(order)
            self._publisher.publish_all([Outgoing(topic, encode_wire(envelope))])
            self._jobs.told(order, now)
            published += 1
        return published
