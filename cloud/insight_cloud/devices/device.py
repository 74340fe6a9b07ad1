# SPDX-License-Identifier: Apache-2.0
"""What the other rooms see of a device. Values only."""

from dataclasses import dataclass
from datetime import datetime

from insight_edge.documents.desired import Assignment


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device as it is known.

    Attributes:
        name: given once, never again.
        deployments: those it was enrolled with.
        retired: when it left the fleet; it cannot come back under this name.
        online: its last session is open.
        last_seen: by the cloud's clock, as all moments here.
        ahead_s: of the cloud's clock was the device's, when it was born last.
        held: the device's owner has stopped updates.
        accepted: revision of `Desired` that it runs by.
        desired: revision that it should run by; 0 before there is one.
    """

    tenant: str
    name: str
    profile: str
    deployments: tuple[str, ...]
    enrolled: datetime
    retired: datetime | None
    agent: str | None
    online: bool
    born: datetime | None
    last_seen: datetime | None
    ahead_s: float | None
    held: bool
    accepted: int
    desired: int


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some devices in the order of their names.

    Attributes:
        total: how many match, on all pages.
        after: what the next page starts after; None on the last.
    """

    devices: tuple[Device, ...]
    total: int
    after: str | None


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which devices are asked for; what is None does not matter.

    Attributes:
        text: part of the name.
        serving: digest of a bundle that one of its deployments serves.
        retired: whether those are listed that left the fleet.
        behind: whether it has not accepted what it should run.
    """

    text: str | None = None
    profile: str | None = None
    online: bool | None = None
    held: bool | None = None
    serving: str | None = None
    behind: bool | None = None
    retired: bool | None = False


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """A device that was just made.

    Attributes:
        secret: shown here and never again.
    """

    tenant: str
    device: str
    profile: str
    secret: str
    deployments: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DesiredState:
    """What a device should run.

    Attributes:
        revision: grows with every change.
        deployments: by name; one that is not here is left as it is.
    """

    tenant: str
    device: str
    revision: int
    deployments: dict[str, Assignment]
    by: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What became of a message.

    Attributes:
        fault: why nothing was recorded, or None.
        owed: revision that the device lacks and should be sent again, or None.
    """

    fault: str | None = None
    owed: int | None = None
