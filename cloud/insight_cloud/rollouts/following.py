# SPDX-License-Identifier: Apache-2.0
"""Write down how devices took what they were told."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from insight_cloud.rollouts.reach import Reach
from insight_cloud.rollouts.rollout import TAKING, Member, MemberState, Rollout
from insight_cloud.rollouts.standing import standing
from insight_cloud.rollouts.storing import change_member, row_of

_BACK = {
    MemberState.ASKED: MemberState.RETURNING,
    MemberState.COMMITTED: MemberState.RETURNED,
    MemberState.FAILED: MemberState.STUCK,
}
"""How going back to a bundle is called, by how taking one is."""


def follow(reach: Reach, rollout: Rollout, members: Iterable[Member], now: datetime) -> None:
    """Ask what each device that was told something says of itself."""
    changes = []
    for old in members:
        if old.revision is None or old.state not in {*TAKING, MemberState.RETURNING}:
            continue
        new = _followed(reach, rollout, old, now)
        if new != old:
            changes.append((old, new))
    if not changes:
        return
    with reach.database.write() as session:
        row = row_of(session, rollout.tenant, rollout.id)
        for old, new in changes:
            change_member(session, row, old, new)


def _followed(reach: Reach, rollout: Rollout, member: Member, now: datetime) -> Member:
    returning = member.state is MemberState.RETURNING
    wanted = member.before.bundle if returning and member.before else member.bundle
    reported = reach.devices.reported(member.device, tenant=rollout.tenant)
    found = standing(reported, rollout.deployment, wanted or "", member.revision)
    state = _BACK[found.state] if returning else found.state
    if state is member.state:
        return member
    committed = member.committed
    if state is MemberState.COMMITTED:
        committed = now
    elif not returning:
        committed = None
    return replace(member, state=state, note=found.note, committed=committed, changed=now)
