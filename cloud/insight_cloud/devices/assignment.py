# SPDX-License-Identifier: Apache-2.0
"""What devices should run, as numbered revisions, inside a transaction of the service's.

Nothing is signed here: whoever publishes a revision signs it.
"""

from datetime import datetime

import msgspec
from sqlalchemy import delete
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import note
from insight_cloud.devices.device import DesiredState
from insight_cloud.devices.rules import next_revision
from insight_cloud.devices.tables import DesiredRow, DeviceRow
from insight_cloud.devices.timeline import EventKind, News, one_line
from insight_cloud.devices.writing import record
from insight_edge.documents.desired import Assignment

MAX_REVISIONS = 100
"""Kept for each device; the oldest go."""

_decoder = msgspec.json.Decoder(dict[str, Assignment])


def current(session: Session, row: DeviceRow) -> DesiredState | None:
    """Return what a device should run; None before anything was assigned."""
    found = session.get(DesiredRow, (row.tenant, row.name, row.desired))
    if found is None:
        return None
    return DesiredState(
        tenant=row.tenant,
        device=row.name,
        revision=found.revision,
        deployments=_decoder.decode(found.content),
        by=found.by,
        at=found.at,
    )


def assign(
    session: Session,
    row: DeviceRow,
    deployments: dict[str, Assignment],
    *,
    by: str,
    now: datetime,
    action: str = "device.assign",
) -> int:
    """Record the next revision of what a device should run and return its number."""
    row.desired = next_revision(row.desired, row.accepted)
    session.add(
        DesiredRow(
            tenant=row.tenant,
            device=row.name,
            revision=row.desired,
            content=msgspec.json.encode(deployments, order="sorted").decode(),
            by=by,
            at=now,
        )
    )
    session.execute(
        delete(DesiredRow).where(
            DesiredRow.tenant == row.tenant,
            DesiredRow.device == row.name,
            DesiredRow.revision <= row.desired - MAX_REVISIONS,
        )
    )
    wanted = ", ".join(f"{name} {_said(one)}" for name, one in deployments.items())
    note(
        session,
        by=by,
        action=action,
        subject=row.name,
        now=now,
        detail=f"revision {row.desired}: {wanted}",
        tenant=row.tenant,
    )
    text = one_line(f"revision {row.desired} by {by}")
    record(session, row, [News(kind=EventKind.DESIRED, text=text)], now)
    return row.desired


def kept_beside(new: Assignment, old: Assignment | None) -> Assignment:
    """Return an assignment with the challenger of the one before, unless it has won."""
    if new.challenger is not None or old is None or old.challenger is None:
        return new
    if old.challenger.bundle == new.bundle:
        return new
    return msgspec.structs.replace(new, challenger=old.challenger)


def _said(one: Assignment) -> str:
    beside = "" if one.challenger is None else f" beside {one.challenger.bundle[7:19]}"
    return one.bundle[7:19] + beside
