# SPDX-License-Identifier: Apache-2.0
"""Write to the timeline of a device, and read it, inside a transaction of the service's."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from insight_cloud.devices.tables import DeviceRow, EventRow
from insight_cloud.devices.timeline import MAX_EVENTS, Event, EventKind, News


def record(session: Session, row: DeviceRow, news: Iterable[News], now: datetime) -> None:
    """Add to a device's timeline; what is more than `MAX_EVENTS` old goes."""
    first = row.events
    for item in news:
        row.events += 1
        session.add(
            EventRow(
                tenant=row.tenant,
                device=row.name,
                number=row.events,
                at=now,
                kind=item.kind.value,
                text=item.text,
                deployment=item.deployment,
                bundle=item.bundle,
            )
        )
    if row.events > max(first, MAX_EVENTS):
        session.flush()
        session.execute(
            delete(EventRow).where(
                EventRow.tenant == row.tenant,
                EventRow.device == row.name,
                EventRow.number <= row.events - MAX_EVENTS,
            )
        )


def events(session: Session, tenant: str, device: str, limit: int) -> tuple[Event, ...]:
    """Return the last things that happened to a device, the newest first."""
    query = (
        select(EventRow)
        .filter_by(tenant=tenant, device=device)
        .order_by(EventRow.number.desc())
        .limit(limit)
    )
    return tuple(
        Event(
            number=row.number,
            at=row.at,
            news=News(
                kind=EventKind(row.kind),
                text=row.text,
                deployment=row.deployment,
                bundle=row.bundle,
            ),
        )
        for row in session.scalars(query)
    )
