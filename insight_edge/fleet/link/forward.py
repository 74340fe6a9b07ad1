# SPDX-License-Identifier: Apache-2.0
"""Between outbox and link: what is due goes out, and what the cloud has is forgotten.

Rule T3 in docs/formats/fleet.md: the broker's word puts a message off, the
cloud's alone frees it. It keeps no state of its own.
"""

import logging

from insight_edge.documents.codec import decode_wire
from insight_edge.documents.delivery import Ack
from insight_edge.documents.topics import Kind
from insight_edge.errors import DocumentError
from insight_edge.fleet.link.events import Declined, LinkEvent, Published, Received
from insight_edge.fleet.link.link import Link
from insight_edge.fleet.link.outbox import Outbox

_log = logging.getLogger(__name__)


def forward(outbox: Outbox, link: Link, now_s: float) -> int:
    """Hand over what is due as far as the link has room, and return how many it took.

    Raises:
        StorageError: the outbox cannot be read.
    """
    room = link.room
    if room == 0:
        return 0
    taken = 0
    for message in outbox.due(room, now_s, besides=link.in_flight):
        if not link.publish(message.kind, message.payload):
            break
        taken += 1
    return taken


def settle(outbox: Outbox, event: LinkEvent, now_s: float) -> Ack | None:
    """Do for the outbox what an event asks for; return what the cloud acknowledged.

    An `Ack` that cannot be read is as good as none: the message is sent again.

    Raises:
        StorageError: the outbox cannot be written; the message is sent again.
    """
    match event:
        case Published(digest=name) | Declined(digest=name):
            outbox.sent([name], now_s)
        case Received(kind=Kind.ACK, payload=payload):
            try:
                ack = decode_wire(Ack, payload)
            except DocumentError as error:
                _log.warning("an ack that cannot be read: %s", error)
                return None
            outbox.acknowledge(ack.received)
            return ack
    return None
