# SPDX-License-Identifier: Apache-2.0
"""What happens to the link to the broker, as the agent is told it."""

import msgspec

from insight_edge.documents.topics import Kind


class LinkEvent(msgspec.Struct, frozen=True):
    """Something happened."""


class Connected(LinkEvent, frozen=True):
    """The broker has let the device in, and its subscriptions stand.

    Attributes:
        session: of this connection, for its birth to name; its will names it too.
    """

    session: str


class Disconnected(LinkEvent, frozen=True):
    """The connection is over, or none could be made; nothing is under way any more."""

    reason: str


class Received(LinkEvent, frozen=True):
    """The cloud says something to this device."""

    kind: Kind
    payload: bytes


class Published(LinkEvent, frozen=True):
    """The broker has a message; whether the cloud has it only an `Ack` tells."""

    digest: str


class Declined(LinkEvent, frozen=True):
    """The broker does not want a message."""

    digest: str
    reason: str
