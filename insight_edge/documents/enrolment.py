# SPDX-License-Identifier: Apache-2.0
"""How a device gets its identity: what it asks, and what it is given over HTTP, once."""

from insight_edge.documents.codec import Document, Versioned
from insight_edge.documents.facts import Facts


class EnrolmentRequest(Versioned, frozen=True, kw_only=True):
    """A device asks to be one of the fleet.

    Attributes:
        token: that an operator made for one device; it works once.
        device: the name it wants, or None where the token says.
        profile: id of the profile it says it is, or None: the cloud picks by its facts.
    """

    token: str
    device: str | None = None
    profile: str | None = None
    deployments: tuple[str, ...] = ("default",)
    facts: Facts


class Broker(Document, frozen=True, kw_only=True):
    """Where the device connects.

    Attributes:
        ca: PEM of who signed the broker's certificate; None without TLS, which is refused
            unless the host is a loopback address.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    ca: str | None = None


class Identity(Versioned, frozen=True, kw_only=True):
    """Who a device is: kept in `identity.json`, mode 0600.

    Attributes:
        secret: that it shows to the cloud's HTTP door.
        cloud: base address of that door.
        root: the first root metadata of the update repository, as text; it is believed.
    """

    tenant: str
    device: str
    profile: str
    secret: str
    cloud: str
    broker: Broker
    root: str
    deployments: tuple[str, ...] = ("default",)
