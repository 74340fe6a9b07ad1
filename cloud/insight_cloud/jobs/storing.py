# SPDX-License-Identifier: Apache-2.0
"""Jobs and their devices: rows into values and back, inside a transaction."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from insight_cloud.devices.selection import Selection
from insight_cloud.devices.timeline import one_line
from insight_cloud.jobs.job import OPEN, Job, Member, MemberState, State, Terms
from insight_cloud.jobs.rules import standing
from insight_cloud.jobs.tables import JobRow, MemberRow
from insight_cloud.platform.errors import NotFoundError

_names = msgspec.json.Decoder(dict[str, str])


def row_of(session: Session, tenant: str, job: str) -> JobRow:
    """Return a job's row.

    Raises:
        NotFoundError: there is no such job.
    """
    row = session.get(JobRow, (tenant, job))
    if row is None:
        raise NotFoundError(f"there is no job '{job[:63]}'", hint="insight-cloud job list")
    return row


def keyed(session: Session, tenant: str, key: str) -> Job | None:
    """Return the job that was asked for with a key."""
    row = session.scalars(select(JobRow).filter_by(tenant=tenant, key=key)).first()
    return None if row is None else job_from_row(row)


def job_from_row(row: JobRow) -> Job:
    """Return what other rooms see of a job."""
    return Job(
        tenant=row.tenant,
        id=row.id,
        kind=row.kind,
        bundle=row.bundle,
        model=row.model,
        version=row.version,
        profile=row.profile,
        artifacts=_names.decode(row.artifacts),
        targets=_names.decode(row.targets),
        selection=msgspec.json.decode(row.selection, type=Selection),
        terms=msgspec.json.decode(row.terms, type=Terms),
        left_out=_names.decode(row.left_out),
        spare=row.spare,
        state=State(row.state),
        reason=row.reason,
        by=row.by,
        created=row.created,
        expires=row.expires,
        withdrawn=row.withdrawn,
        ended=row.ended,
    )


def add_job(session: Session, job: Job, members: Iterable[Member], key: str | None) -> JobRow:
    """Record a new job and its devices."""
    plain = {name: getattr(job, name) for name in _PLAIN}
    packed = {name: _json(getattr(job, name)) for name in _PACKED}
    row = JobRow(**plain, **packed, key=key, state=job.state.value)
    session.add(row)
    session.flush()
    for one in members:
        session.add(MemberRow(tenant=job.tenant, job=job.id, **_member_values(one)))
    session.flush()
    return row


def members_of(session: Session, tenant: str, job: str) -> tuple[Member, ...]:
    """Return the devices of a job by their names."""
    query = select(MemberRow).filter_by(tenant=tenant, job=job).order_by(MemberRow.device)
    return tuple(map(member_from_row, session.scalars(query)))


def member_of(session: Session, tenant: str, job: str, device: str) -> Member | None:
    """Return a device in a job; None where it was not asked."""
    row = session.get(MemberRow, (tenant, job, device))
    return None if row is None else member_from_row(row)


def member_from_row(row: MemberRow) -> Member:
    """Return what other rooms see of a device in a job."""
    return Member(
        device=row.device,
        state=MemberState(row.state),
        phase=row.phase,
        why=row.why,
        told=row.told,
        said=row.said,
        accepted=row.accepted,
        ended=row.ended,
        heard=row.heard,
        left_out=_names.decode(row.left_out),
    )


def change_member(session: Session, row: JobRow, member: Member) -> None:
    """Write how a device of a job stands now."""
    kept = session.get_one(MemberRow, (row.tenant, row.id, member.device))
    for name, value in _member_values(member).items():
        setattr(kept, name, value)


def settle(session: Session, row: JobRow, now: datetime) -> None:
    """Write what follows for a job from how its devices stand."""
    session.flush()
    members = members_of(session, row.tenant, row.id)
    state, reason = standing(members, row.withdrawn)
    row.state, row.reason = state.value, reason
    if row.ended is None and all(one.state not in OPEN for one in members):
        row.ended = now


_PLAIN = (
    *("tenant", "id", "kind", "bundle", "model", "version", "profile", "spare"),
    *("reason", "by", "created", "expires", "withdrawn", "ended"),
)
_PACKED = ("artifacts", "targets", "selection", "terms", "left_out")


def _member_values(member: Member) -> dict[str, Any]:
    return {
        "device": member.device,
        "state": member.state.value,
        "phase": member.phase,
        "why": one_line(member.why),
        "told": member.told,
        "said": member.said,
        "accepted": member.accepted,
        "ended": member.ended,
        "heard": member.heard,
        "left_out": _json(member.left_out),
    }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
