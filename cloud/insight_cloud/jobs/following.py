# SPDX-License-Identifier: Apache-2.0
"""Take jobs further: how devices stand in them by what they say, and who is to be told what."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select

from insight_cloud.devices.service import Devices
from insight_cloud.jobs.job import OPEN, Job, Member
from insight_cloud.jobs.rules import Seen, followed, is_due, order_for
from insight_cloud.jobs.storing import (
    change_member,
    job_from_row,
    member_of,
    members_of,
    row_of,
    settle,
)
from insight_cloud.jobs.tables import JobRow
from insight_cloud.platform.database import Database
from insight_edge.documents.job import Job as Order
from insight_edge.documents.job import JobState

Standing = tuple[Job, tuple[Member, ...]]
"""A job, and its devices that have not said their last word."""


def open_jobs(database: Database) -> tuple[Standing, ...]:
    """Return the jobs of all tenants that are not over, the oldest first."""
    query = select(JobRow).where(JobRow.ended.is_(None)).order_by(JobRow.created, JobRow.id)
    with database.read() as session:
        return tuple(
            (
                job_from_row(row),
                tuple(m for m in members_of(session, row.tenant, row.id) if m.state in OPEN),
            )
            for row in session.scalars(query).all()
        )


def follow(database: Database, devices: Devices, now: datetime) -> tuple[Order, ...]:
    """Write down how devices stand in jobs, and return what is to be said to them now."""
    due: list[Order] = []
    for job, members in open_jobs(database):
        seen = _seen(devices, job, members)
        after = [followed(job, one, seen[one.device], now) for one in members]
        _write(database, job, list(zip(members, after, strict=True)), now)
        due += [
            order_for(job, one.device) for one in after if is_due(job, one, seen[one.device], now)
        ]
    return tuple(due)


def _seen(devices: Devices, job: Job, members: Sequence[Member]) -> Mapping[str, Seen]:
    online = set(devices.online([one.device for one in members], tenant=job.tenant))
    return {one.device: _seen_one(devices, job, one, one.device in online) for one in members}


def _seen_one(devices: Devices, job: Job, member: Member, online: bool) -> Seen:
    """Return what is known of a device; one that is there has not left the fleet."""
    if online:
        return Seen(online=True, named=_named(devices, job, member))
    gone = devices.device(member.device, tenant=job.tenant).retired is not None
    return Seen(online=False, gone=gone, named=_named(devices, job, member))


def _named(devices: Devices, job: Job, member: Member) -> JobState | None:
    """Return what a device says of a job that it was told of."""
    if member.told is None:
        return None
    reported = devices.reported(member.device, tenant=job.tenant)
    states = () if reported is None else reported.jobs
    return next((one for one in states if one.id == job.id), None)


def _write(
    database: Database, job: Job, pairs: Sequence[tuple[Member, Member]], now: datetime
) -> None:
    """Write what has changed, unless a device has said its last word meanwhile."""
    changed = [(old, new) for old, new in pairs if old != new]
    if not changed:
        return
    with database.write() as session:
        row = row_of(session, job.tenant, job.id)
        for old, new in changed:
            if member_of(session, job.tenant, job.id, old.device) == old:
                change_member(session, row, new)
        settle(session, row, now)
