# SPDX-License-Identifier: Apache-2.0
"""What the agent says of its device: that it was born, and how it stands.

The same state is written to `<state>/status.json`, for whoever is at the device.
None of this is kept until it is acknowledged: the next one says more. A broker that starts
anew may lose it all the same, so birth and state are told again after growing pauses; the
same birth twice is one.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from insight_edge import __version__
from insight_edge.bundle.durable import replace_file
from insight_edge.documents.codec import encode_json, encode_wire
from insight_edge.documents.device import Birth, DeploymentState, Refusal, Reported
from insight_edge.documents.enrolment import Identity
from insight_edge.documents.facts import Facts
from insight_edge.documents.job import JobState
from insight_edge.documents.topics import Kind
from insight_edge.errors import StorageError

STATUS: Final = "status.json"
"""A `Reported`, replaced whenever it changes and every `ALIVE_S`."""

AGAIN_S: Final = 10.0
LONGEST_S: Final = 600.0
"""Between two times that the same is told."""

ALIVE_S: Final = 30.0
"""A status that is older is of an agent that does not run."""

Publish = Callable[[Kind, bytes], bool]
"""Whether the link has taken it."""


class Telling:
    """Tells the cloud and the disk.

    Args:
        state: directory of the agent.
        identity: of the device.
        facts: of this machine.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        state: Path,
        identity: Identity,
        facts: Facts,
        clock: Callable[[], float],
    ) -> None:
        self._path = state / STATUS
        self._me, self._facts, self._clock = identity, facts, clock
        self._told: Reported | None = None
        self._shown: Reported | None = None
        self._shown_s = 0.0
        self._birth = b""
        self._pause_s, self._again_s = AGAIN_S, 0.0

    def birth(self, session: str) -> bytes:
        """Return the first message of a connection; how the device stands is told anew after it."""
        self._told = None
        self._pause_s, self._again_s = AGAIN_S, time.monotonic() + AGAIN_S
        self._birth = encode_wire(
            Birth(
                tenant=self._me.tenant,
                device=self._me.device,
                session=session,
                agent=__version__,
                profile=self._me.profile,
                facts=self._facts,
                deployments=self._me.deployments,
                at_s=self._clock(),
            )
        )
        return self._birth

    def tell(
        self,
        publish: Publish,
        deployments: Mapping[str, DeploymentState],
        *,
        revision: int,
        held: bool,
        lost: Mapping[str, int],
        refusal: Refusal | None,
        jobs: tuple[JobState, ...] = (),
    ) -> None:
        """Publish and write how the device stands, where that has changed."""
        now = Reported(
            tenant=self._me.tenant,
            device=self._me.device,
            revision=revision,
            at_s=self._clock(),
            held=held,
            lost=dict(lost),
            refusal=refusal,
            deployments=dict(deployments),
            jobs=jobs,
        )
        timeless = replace(now, at_s=0.0)
        self._tell_birth_again(publish)
        if timeless != self._told and publish(Kind.REPORTED, encode_wire(now)):
            self._told = timeless
        if timeless != self._shown or time.monotonic() - self._shown_s >= ALIVE_S / 2:
            self._shown, self._shown_s = timeless, time.monotonic()
            with suppress(StorageError):  # whoever looks sees the old one
                replace_file(self._path, encode_json(now))

    def _tell_birth_again(self, publish: Publish) -> None:
        if not self._birth or time.monotonic() < self._again_s:
            return
        self._pause_s = min(2 * self._pause_s, LONGEST_S)
        self._again_s = time.monotonic() + self._pause_s
        if publish(Kind.BIRTH, self._birth):
            self._told = None
