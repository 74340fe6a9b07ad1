# SPDX-License-Identifier: Apache-2.0
"""One step of a rollout: see who is in it, tell, listen, decide.

Each part is a transaction of its own and says first what it will do, so that a
worker which is killed anywhere is gone on with, and two workers do nothing twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from insight_cloud.devices.device import Device
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.rollouts.evidence import Evidence
from insight_cloud.rollouts.following import follow
from insight_cloud.rollouts.gathering import gather
from insight_cloud.rollouts.joining import join
from insight_cloud.rollouts.reach import Reach
from insight_cloud.rollouts.recording import record, tell_event
from insight_cloud.rollouts.rollout import (
    TAKING,
    Decision,
    Member,
    MemberState,
    Rollout,
    State,
)
from insight_cloud.rollouts.rules import decide
from insight_cloud.rollouts.storing import (
    change_member,
    members_of,
    rollout_from_row,
    row_of,
)
from insight_cloud.rollouts.tables import RolloutRow
from insight_cloud.rollouts.telling import NEITHER, ask, let_go, tell

WORKER = "worker"

Devices = Mapping[str, Device]


def step(reach: Reach, tenant: str, rollout: int, now: datetime) -> None:
    """Take a rollout one step further; it is none where it is over or waits for a person.

    Raises:
        NotFoundError: there is no such rollout.
        StorageError: the step is not complete; the next one completes it.
    """
    seen, members = _read(reach, tenant, rollout)
    if seen.state is State.PENDING:
        _begin(reach, seen, now)
        seen, members = _read(reach, tenant, rollout)
    if seen.state not in {State.RUNNING, State.PAUSED, State.ROLLING_BACK}:
        return
    devices = _devices(reach, seen)
    if seen.state is not State.ROLLING_BACK:
        join(reach, seen, members, devices, now)
    if seen.state is State.RUNNING:
        ask(reach, seen, _read(reach, tenant, rollout)[1], devices, now)
    let_go(reach, seen, _read(reach, tenant, rollout)[1], devices, now)
    tell(reach, seen, _read(reach, tenant, rollout)[1], now)
    follow(reach, seen, _read(reach, tenant, rollout)[1], now)
    _conclude(reach, seen, devices, now)


def turn_back(session: Session, row: RolloutRow, now: datetime) -> None:
    """Let every device that was asked go back to what it had, within a decision's transaction."""
    plan = rollout_from_row(row).plan
    row.state, row.waived = State.ROLLING_BACK.value, False
    row.deadline = now + timedelta(seconds=plan.deadline_s)
    for one in members_of(session, row.tenant, row.id):
        if one.state in TAKING:
            change_member(session, row, one, _turned(one, now))


def _turned(member: Member, now: datetime) -> Member:
    before = member.before
    if before is None or before.bundle == member.bundle:
        note = NEITHER if before is None else "it had this bundle before"
        return replace(member, state=MemberState.KEPT, note=note, changed=now)
    return replace(member, state=MemberState.RETURNING, revision=None, changed=now)


def _read(reach: Reach, tenant: str, rollout: int) -> tuple[Rollout, tuple[Member, ...]]:
    with reach.database.read() as session:
        row = row_of(session, tenant, rollout)
        return rollout_from_row(row), members_of(session, tenant, rollout)


def _devices(reach: Reach, rollout: Rollout) -> dict[str, Device]:
    """Return the devices that are meant; one of a list that is gone is left out."""
    names = rollout.selection.devices
    if names is None:
        return reach.selected(rollout.selection, rollout.deployment, rollout.tenant)
    found: dict[str, Device] = {}
    for name in names:
        try:
            one = replace(rollout.selection, devices=(name,))
            found |= reach.selected(one, rollout.deployment, rollout.tenant)
        except NotFoundError:
            continue
    return found


def _begin(reach: Reach, rollout: Rollout, now: datetime) -> None:
    with reach.database.write() as session:
        row = row_of(session, rollout.tenant, rollout.id)
        if row.state != State.PENDING:
            return
        row.state = State.RUNNING.value
        row.deadline = now + timedelta(seconds=rollout.plan.deadline_s)
        record(session, row, "begin", f"wave 1 of {row.waves} begins", by=WORKER, now=now)


def _conclude(reach: Reach, rollout: Rollout, devices: Devices, now: datetime) -> None:
    seen, members = _read(reach, rollout.tenant, rollout.id)
    if seen.state is State.ROLLING_BACK:
        _finish(reach, seen, members, now)
    elif seen.state is State.RUNNING and not _asks_still(seen, members):
        evidence = gather(reach, seen, members, devices, now)
        decision, reason = decide(seen, evidence, now)
        _apply(reach, seen, decision, reason, evidence, now)


def _asks_still(rollout: Rollout, members: Sequence[Member]) -> bool:
    """Return whether the wave is larger than what was asked at once."""
    return any(
        one.state is MemberState.WAITING and one.wave is not None and one.wave <= rollout.wave
        for one in members
    )


def _apply(
    reach: Reach,
    rollout: Rollout,
    decision: Decision,
    reason: str,
    evidence: Evidence,
    now: datetime,
) -> None:
    """Write a decision down, unless the rollout has moved on meanwhile."""
    if decision is Decision.WAIT and reason == rollout.reason:
        return
    with reach.database.write() as session:
        row = row_of(session, rollout.tenant, rollout.id)
        if rollout_from_row(row) != rollout:
            return
        if decision is Decision.WAIT:
            row.reason = reason
            return
        record(session, row, decision.value, reason, by=WORKER, now=now, evidence=evidence)
        _moved(session, row, decision, rollout, now)


def _moved(
    session: Session, row: RolloutRow, decision: Decision, rollout: Rollout, now: datetime
) -> None:
    match decision:
        case Decision.ADVANCE:
            row.wave, row.waived = row.wave + 1, False
            row.deadline = now + timedelta(seconds=rollout.plan.deadline_s)
            tell_event(session, row, "wave", f"wave {row.wave + 1} of {row.waves} begins", now)
        case Decision.ROLL_BACK:
            turn_back(session, row, now)
        case Decision.PAUSE:
            row.state = State.PAUSED.value
        case Decision.COMPLETE:
            row.state, row.deadline = State.COMPLETED.value, None
        case Decision.WAIT:
            pass


def _finish(reach: Reach, rollout: Rollout, members: Sequence[Member], now: datetime) -> None:
    """Note that all devices are back, or that those which are not have had their time."""
    away = [one.device for one in members if one.state is MemberState.RETURNING]
    late = rollout.deadline is not None and now >= rollout.deadline
    told = all(one.revision is not None for one in members if one.device in set(away))
    if away and not (late and told):
        return
    with reach.database.write() as session:
        row = row_of(session, rollout.tenant, rollout.id)
        if row.state != State.ROLLING_BACK:
            return
        cause = row.reason
        record(session, row, "finish", _back(members, away), by=WORKER, now=now)
        row.reason, row.state, row.deadline = cause, State.ROLLED_BACK.value, None


def _back(members: Sequence[Member], away: Sequence[str]) -> str:
    count = {state: sum(one.state is state for one in members) for state in MemberState}
    said = f"{count[MemberState.RETURNED]} devices are back"
    for state, words in (
        (MemberState.KEPT, "had nothing to go back to"),
        (MemberState.STUCK, "could not go back"),
        (MemberState.LEFT, "had left"),
    ):
        said += f", {count[state]} {words}" if count[state] else ""
    return said + (f", {len(away)} go back when they are there again" if away else "")
