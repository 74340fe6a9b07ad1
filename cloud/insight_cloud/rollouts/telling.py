# SPDX-License-Identifier: Apache-2.0
"""Tell devices what a rollout wants of them: first written down, then told, then confirmed.

So a worker that is killed in between is gone on with: telling twice is telling once.
A device whose assignment somebody else has changed leaves the rollout.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from insight_cloud.devices.device import Device
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.rollouts.joining import refitted
from insight_cloud.rollouts.reach import Fitting, Reach
from insight_cloud.rollouts.rollout import (
    TAKING,
    Before,
    Member,
    MemberState,
    Rollout,
    State,
)
from insight_cloud.rollouts.storing import change_member, row_of
from insight_edge.documents.desired import Assignment

AT_ONCE = 200
"""Devices that are asked in one step; the others follow in the next."""

NEITHER = "there is nothing listed to go back to"
GONE = "it is no device of the fleet any more"


def ask(
    reach: Reach,
    rollout: Rollout,
    members: Iterable[Member],
    devices: Mapping[str, Device],
    now: datetime,
) -> None:
    """Write down that the devices whose wave has come should run the bundle."""
    due = [
        one
        for one in members
        if one.state is MemberState.WAITING and one.wave is not None and one.wave <= rollout.wave
    ][:AT_ONCE]
    if not due:
        return
    fitting = reach.fitting(rollout.model, rollout.version)
    asked = [
        (one, _asked(reach, rollout, one, devices.get(one.device), fitting, now)) for one in due
    ]
    _write(reach, rollout, asked, State.RUNNING)


def tell(reach: Reach, rollout: Rollout, members: Sequence[Member], now: datetime) -> None:
    """Tell devices what was written down and is not known to have been told."""
    untold = [one for one in members if one.revision is None and _wants(one) is not None][:AT_ONCE]
    told = [_told(reach, rollout, one, now) for one in untold]
    _write(reach, rollout, zip(untold, told, strict=True))


def let_go(
    reach: Reach,
    rollout: Rollout,
    members: Iterable[Member],
    devices: Mapping[str, Device],
    now: datetime,
) -> None:
    """Let devices leave that retired, or that somebody else has assigned something to."""
    gone = [(one, _gone(reach, rollout, one, devices.get(one.device), now)) for one in members]
    _write(reach, rollout, gone)


def _asked(
    reach: Reach,
    rollout: Rollout,
    member: Member,
    device: Device | None,
    fitting: Fitting,
    now: datetime,
) -> Member:
    if device is None:
        return _left(member, GONE, now)
    member = refitted(member, fitting.of(device), now)
    if member.state is MemberState.UNFIT:
        return member
    before = _before(reach, rollout, member)
    return replace(
        member, state=MemberState.ASKED, before=before, revision=None, asked=now, changed=now
    )


def _before(reach: Reach, rollout: Rollout, member: Member) -> Before | None:
    """Return what a deployment should run now; without an assignment, what it has committed."""
    assigned, _ = reach.assigned(member.device, rollout.deployment, rollout.tenant)
    if assigned is not None:
        return Before(bundle=assigned.bundle, role=assigned.role, share=assigned.share)
    reported = reach.devices.reported(member.device, tenant=rollout.tenant)
    state = None if reported is None else reported.deployments.get(rollout.deployment)
    committed = None if state is None else state.committed
    if committed is None or committed == member.bundle or not reach.is_listed(committed):
        return None
    return Before(bundle=committed)


def _told(reach: Reach, rollout: Rollout, member: Member, now: datetime) -> Member:
    """Tell one device, and return how it stands in the rollout then."""
    wanted = _wants(member)
    if wanted is None:
        return member
    assigned, by = reach.assigned(member.device, rollout.deployment, rollout.tenant)
    ours = [_assignment(member.before), None if member.bundle is None else _new(member)]
    if assigned is not None and assigned not in ours:
        return _left(member, _elsewhere(assigned, by), now)
    if member.state is MemberState.RETURNING and not reach.is_listed(wanted.bundle):
        return replace(member, state=MemberState.KEPT, note=NEITHER, changed=now)
    try:
        revision = reach.devices.set_desired(
            member.device,
            rollout.deployment,
            wanted,
            by=f"rollout {rollout.id}",
            now=now,
            tenant=rollout.tenant,
        )
    except (ConflictError, NotFoundError) as error:
        return _left(member, str(error), now)
    return replace(member, revision=revision)


def _gone(
    reach: Reach, rollout: Rollout, member: Member, device: Device | None, now: datetime
) -> Member:
    """Return a device as left, if it has; as it is, if not."""
    if device is None:
        here = member.state in {*TAKING, MemberState.WAITING, MemberState.RETURNING}
        return _left(member, GONE, now) if here else member
    if _wants(member) is None or member.revision in {None, device.desired}:
        return member
    return _compared(reach, rollout, member, device, now)


def _compared(
    reach: Reach, rollout: Rollout, member: Member, device: Device, now: datetime
) -> Member:
    """Return a device with a newer revision: of the same content, or of somebody else's."""
    assigned, by = reach.assigned(member.device, rollout.deployment, rollout.tenant)
    if assigned == _wants(member):
        return replace(member, revision=device.desired)
    return _left(member, _elsewhere(assigned, by), now)


def _wants(member: Member) -> Assignment | None:
    """Return what the rollout wants of a device now; None where it wants nothing."""
    if member.state in TAKING:
        return _new(member)
    return _assignment(member.before) if member.state is MemberState.RETURNING else None


def _new(member: Member) -> Assignment:
    return Assignment(bundle=member.bundle or "")


def _assignment(before: Before | None) -> Assignment | None:
    if before is None:
        return None
    return Assignment(bundle=before.bundle, role=before.role, share=before.share)


def _elsewhere(assigned: Assignment | None, by: str) -> str:
    wanted = "nothing" if assigned is None else assigned.bundle[:19]
    return f"{wanted} was assigned to it by {by}"


def _left(member: Member, why: str, now: datetime) -> Member:
    return replace(member, state=MemberState.LEFT, note=why, changed=now)


def _write(
    reach: Reach,
    rollout: Rollout,
    changes: Iterable[tuple[Member, Member]],
    only_in: State | None = None,
) -> None:
    """Write down what has changed; with `only_in`, only if the rollout still stands so."""
    changed = [(old, new) for old, new in changes if old != new]
    if not changed:
        return
    with reach.database.write() as session:
        row = row_of(session, rollout.tenant, rollout.id)
        if only_in is not None and row.state != only_in:
            return
        for old, new in changed:
            change_member(session, row, old, new)
