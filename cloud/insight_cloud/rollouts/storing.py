# SPDX-License-Identifier: Apache-2.0
"""Rollouts and their devices: rows into values and back, inside a transaction."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from insight_cloud.devices.selection import Selection
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.recording import MAX_TEXT, tell_event
from insight_cloud.rollouts.rollout import (
    ACTIVE,
    Before,
    Member,
    MemberState,
    Rollout,
    State,
)
from insight_cloud.rollouts.tables import MemberRow, RolloutRow

ACTIVE_STATES = tuple(state.value for state in ACTIVE)


def row_of(session: Session, tenant: str, rollout: int) -> RolloutRow:
    """Return a rollout's row.

    Raises:
        NotFoundError: there is no such rollout.
    """
    row = session.get(RolloutRow, (tenant, rollout))
    if row is None:
        raise NotFoundError(f"there is no rollout {rollout}")
    return row


def rollout_from_row(row: RolloutRow) -> Rollout:
    """Return what other rooms see of a rollout."""
    return Rollout(
        tenant=row.tenant,
        id=row.id,
        model=row.model,
        version=row.version,
        deployment=row.deployment,
        selection=msgspec.json.decode(row.selection, type=Selection),
        plan=msgspec.json.decode(row.plan, type=Plan),
        state=State(row.state),
        reason=row.reason,
        wave=row.wave,
        waves=row.waves,
        deadline=row.deadline,
        waived=row.waived,
        by=row.by,
        created=row.created,
        changed=row.changed,
    )


def add_rollout(session: Session, rollout: Rollout) -> RolloutRow:
    """Record a new rollout under the next number, whatever number it has."""
    newest = session.scalar(select(func.max(RolloutRow.id)).filter_by(tenant=rollout.tenant))
    plain = {name: getattr(rollout, name) for name in _PLAIN}
    row = RolloutRow(
        **plain,
        id=(newest or 0) + 1,
        selection=_json(rollout.selection),
        plan=_json(rollout.plan),
        state=rollout.state.value,
        decisions=0,
        events=0,
    )
    session.add(row)
    session.flush()
    return row


def members_of(session: Session, tenant: str, rollout: int) -> tuple[Member, ...]:
    """Return the devices of a rollout, by wave and name; those without a wave come last."""
    query = (
        select(MemberRow)
        .filter_by(tenant=tenant, rollout=rollout)
        .order_by(MemberRow.wave.is_(None), MemberRow.wave, MemberRow.device)
    )
    return tuple(map(member_from_row, session.scalars(query)))


def member_from_row(row: MemberRow) -> Member:
    """Return what other rooms see of a device in a rollout."""
    before = None if row.before is None else msgspec.json.decode(row.before, type=Before)
    return Member(
        device=row.device,
        profile=row.profile,
        wave=row.wave,
        bundle=row.bundle,
        state=MemberState(row.state),
        note=row.note,
        before=before,
        revision=row.revision,
        asked=row.asked,
        committed=row.committed,
        changed=row.changed,
    )


def newest_of(
    session: Session, tenant: str, device: str, deployment: str
) -> tuple[Rollout, Member] | None:
    """Return the rollout that has most to say about a deployment: those that go on come first."""
    of_rollout = (MemberRow.tenant == RolloutRow.tenant) & (MemberRow.rollout == RolloutRow.id)
    query = (
        select(RolloutRow, MemberRow)
        .join(MemberRow, of_rollout)
        .where(RolloutRow.tenant == tenant, RolloutRow.deployment == deployment)
        .where(MemberRow.device == device)
        .order_by(RolloutRow.state.in_(ACTIVE_STATES).desc(), RolloutRow.id.desc())
    )
    found = session.execute(query.limit(1)).first()
    return None if found is None else (rollout_from_row(found[0]), member_from_row(found[1]))


def add_members(session: Session, row: RolloutRow, members: Iterable[Member]) -> None:
    """Record devices that are not in the rollout yet."""
    for one in members:
        if session.get(MemberRow, (row.tenant, row.id, one.device)) is None:
            session.add(MemberRow(tenant=row.tenant, rollout=row.id, **_member_values(one)))


def change_member(session: Session, row: RolloutRow, old: Member, new: Member) -> bool:
    """Write a device's new standing, unless somebody else has changed it meanwhile."""
    kept = session.get(MemberRow, (row.tenant, row.id, old.device))
    if kept is None or member_from_row(kept) != old:
        return False
    for name, value in _member_values(new).items():
        setattr(kept, name, value)
    if new.state is not old.state:
        text = f"{new.device}: {new.state.value}{f' ({kept.note})' if kept.note else ''}"
        tell_event(session, row, new.state.value, text, new.changed, device=new.device)
    return True


_PLAIN = (
    *("tenant", "model", "version", "deployment", "reason", "wave", "waves"),
    *("deadline", "waived", "by", "created", "changed"),
)


def _member_values(member: Member) -> dict[str, Any]:
    return {
        "device": member.device,
        "profile": member.profile,
        "wave": member.wave,
        "bundle": member.bundle,
        "state": member.state.value,
        "note": member.note[:MAX_TEXT],
        "before": None if member.before is None else _json(member.before),
        "revision": member.revision,
        "asked": member.asked,
        "committed": member.committed,
        "changed": member.changed,
    }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
