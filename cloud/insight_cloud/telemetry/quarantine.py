# SPDX-License-Identifier: Apache-2.0
"""Messages that could not be believed, so many and no more, inside a transaction of the service's.

They are acknowledged like all others: what is wrong with one does not get better
by sending it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from insight_cloud.telemetry.storing import insert_new
from insight_cloud.telemetry.tables import QuarantineRow
from insight_edge.documents.codec import digest
from insight_edge.documents.topics import Topic

MAX_OF_DEVICE = 50
MAX_OF_TENANT = 5_000
"""Kept; the oldest go, those of a device that sends much first."""

MAX_PAYLOAD_BYTES = 64 * 1024
"""Kept of one message."""

MAX_REASON = 300


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A message that was not believed.

    Attributes:
        kind: of its topic.
        fault: class of the error.
        payload: its first bytes.
    """

    device: str
    kind: str
    digest: str
    fault: str
    reason: str
    arrived_s: float
    length_bytes: int
    payload: bytes


def put_away(
    session: Session,
    messages: Sequence[tuple[Topic, bytes, tuple[str, str]]],
    arrived_s: float,
) -> None:
    """Keep messages with what is wrong with them, and let the oldest go."""
    rows = [
        {
            "tenant": topic.tenant,
            "digest": digest(payload),
            "device": topic.device,
            "kind": topic.kind.value,
            "fault": fault,
            "reason": _one_line(reason),
            "arrived_s": arrived_s,
            "length_bytes": len(payload),
            "payload": payload[:MAX_PAYLOAD_BYTES],
        }
        for topic, payload, (fault, reason) in messages
    ]
    insert_new(session, QuarantineRow, rows, [QuarantineRow.digest])
    for tenant, device in {(topic.tenant, topic.device) for topic, _, _ in messages}:
        _let_go(session, tenant, device, MAX_OF_DEVICE)
    for tenant in {topic.tenant for topic, _, _ in messages}:
        _let_go(session, tenant, None, MAX_OF_TENANT)


def newest(
    session: Session, tenant: str, device: str | None, limit: int
) -> tuple[Quarantined, ...]:
    """Return what was put away last, of one device or of all."""
    query = select(QuarantineRow).filter_by(tenant=tenant)
    if device is not None:
        query = query.filter_by(device=device)
    ordered = query.order_by(QuarantineRow.arrived_s.desc(), QuarantineRow.digest)
    return tuple(
        Quarantined(
            device=row.device,
            kind=row.kind,
            digest=row.digest,
            fault=row.fault,
            reason=row.reason,
            arrived_s=row.arrived_s,
            length_bytes=row.length_bytes,
            payload=row.payload,
        )
        for row in session.scalars(ordered.limit(limit))
    )


def _let_go(session: Session, tenant: str, device: str | None, most: int) -> None:
    chosen = [QuarantineRow.tenant == tenant]
    if device is not None:
        chosen.append(QuarantineRow.device == device)
    newest_first = (QuarantineRow.arrived_s.desc(), QuarantineRow.digest)
    old = select(QuarantineRow.digest).where(*chosen).order_by(*newest_first).offset(most)
    session.execute(
        delete(QuarantineRow).where(
            QuarantineRow.tenant == tenant, QuarantineRow.digest.in_(old.scalar_subquery())
        )
    )


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:MAX_REASON])
