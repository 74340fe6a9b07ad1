# SPDX-License-Identifier: Apache-2.0
"""Find devices, and turn rows into what other rooms see, inside a transaction of the service's."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, defer

from insight_cloud.devices.device import Device, Page, Query
from insight_cloud.devices.tables import DeploymentRow, DeviceRow
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_edge.documents.codec import decode_json
from insight_edge.documents.device import Reported

MAX_PAGE = 500


def find(session: Session, tenant: str, device: str) -> DeviceRow:
    """Return a device.

    Raises:
        NotFoundError: there is no such device.
    """
    row = session.get(DeviceRow, (tenant, device))
    if row is None:
        raise NotFoundError(f"there is no device '{device}'")
    return row


def find_active(session: Session, tenant: str, device: str) -> DeviceRow:
    """Return a device that has not left the fleet.

    Raises:
        NotFoundError: there is no such device.
        ConflictError: it retired.
    """
    row = find(session, tenant, device)
    if row.retired is not None:
        raise ConflictError(f"device '{device}' retired on {row.retired:%Y-%m-%d}")
    return row


def page(session: Session, query: Query, tenant: str, after: str | None, limit: int) -> Page:
    """Return the devices after a name, in the order of their names."""
    wanted = _conditions(query, tenant)
    beyond = [] if after is None else [DeviceRow.name > after]
    limit = max(1, min(limit, MAX_PAGE))
    total = session.scalar(select(func.count()).select_from(DeviceRow).where(*wanted)) or 0
    light = defer(DeviceRow.facts), defer(DeviceRow.reported)
    asked = select(DeviceRow).options(*light).where(*wanted, *beyond).order_by(DeviceRow.name)
    rows = session.scalars(asked.limit(limit + 1)).all()
    found = tuple(map(device_from_row, rows[:limit]))
    return Page(devices=found, total=total, after=found[-1].name if len(rows) > limit else None)


def online(session: Session, tenant: str, among: Collection[str]) -> tuple[str, ...]:
    """Return those of some devices that are connected and have not left the fleet."""
    names, found = sorted(among), list[str]()
    for start in range(0, len(names), MAX_PAGE):
        some = DeviceRow.name.in_(names[start : start + MAX_PAGE])
        query = select(DeviceRow.name).where(*_conditions(Query(online=True), tenant), some)
        found += session.scalars(query.order_by(DeviceRow.name))
    return tuple(found)


def reported_from_row(row: DeviceRow) -> Reported | None:
    """Return the last state of a device; None before it told one."""
    return None if row.reported is None else decode_json(Reported, row.reported.encode())


def device_from_row(row: DeviceRow) -> Device:
    """Return what other rooms see of a device."""
    ahead_s = None
    if row.born is not None and row.birth_s is not None:
        ahead_s = row.birth_s - row.born.timestamp()
    return Device(
        tenant=row.tenant,
        name=row.name,
        profile=row.profile,
        deployments=tuple(row.deployments),
        enrolled=row.enrolled,
        retired=row.retired,
        agent=row.agent,
        online=row.online,
        born=row.born,
        last_seen=row.last_seen,
        ahead_s=ahead_s,
        held=row.held,
        accepted=row.accepted,
        desired=row.desired,
    )


def _conditions(query: Query, tenant: str) -> list[ColumnElement[bool]]:
    found = [DeviceRow.tenant == tenant]
    if query.text:
        found.append(DeviceRow.name.contains(query.text, autoescape=True))
    for column, value in (
        (DeviceRow.profile, query.profile),
        (DeviceRow.online, query.online),
        (DeviceRow.held, query.held),
    ):
        if value is not None:
            found.append(column == value)
    if query.behind is not None:
        found.append((DeviceRow.accepted < DeviceRow.desired) == query.behind)
    if query.retired is not None:
        found.append(
            DeviceRow.retired.is_not(None) if query.retired else DeviceRow.retired.is_(None)
        )
    if query.serving is not None:
        found.append(
            DeviceRow.name.in_(
                select(DeploymentRow.device).filter_by(tenant=tenant, serving=query.serving)
            )
        )
    return found
