# SPDX-License-Identifier: Apache-2.0
"""What follows from the evidence of a rollout, and what a person may do with it. Pure.

    pending -> running -> completed
               running <-> paused
               pending | running | paused -> aborted
               running | paused | completed | aborted -> rolling_back -> rolled_back

A breach goes back; what only lacks is waited for, and paused for after a deadline.
One wave at a time: the next begins when the last one has shown what the plan asks.
"""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta

from insight_cloud.platform.errors import ConflictError
from insight_cloud.rollouts.evidence import Evidence, Group
from insight_cloud.rollouts.gates import (
    accuracy_breach,
    error_breach,
    flagged_breach,
    latency_breach,
    update_breach,
)
from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.rollout import Decision, Rollout, State

FROM = {
    "pause": (State.PENDING, State.RUNNING),
    "resume": (State.PAUSED,),
    "abort": (State.PENDING, State.RUNNING, State.PAUSED, State.ROLLING_BACK),
    "roll_back": (
        State.PENDING,
        State.RUNNING,
        State.PAUSED,
        State.COMPLETED,
        State.ABORTED,
    ),
}
"""In which states a person may ask for what."""


def decide(rollout: Rollout, evidence: Evidence, now: datetime) -> tuple[Decision, str]:
    """Return what to do with a running rollout, and why in one line with its figures."""
    if rollout.state is not State.RUNNING:
        return Decision.WAIT, f"it is {rollout.state.value}"
    breach = next(_breaches(rollout.plan, evidence), None)
    if breach is not None:
        return Decision.ROLL_BACK, breach
    doubt = next(_doubts(rollout, evidence), None)
    if doubt is not None:
        return Decision.PAUSE, doubt
    lack = None if rollout.waived else _lacking(rollout, evidence, now)
    return _gone_on(rollout, evidence) if lack is None else lack


def check_action(rollout: Rollout, action: str) -> None:
    """Refuse what cannot follow from the state of a rollout.

    Raises:
        ConflictError: it cannot.
    """
    if rollout.state not in FROM[action]:
        raise ConflictError(
            f"rollout {rollout.id} is {rollout.state.value}: it cannot {action.replace('_', ' ')}",
            hint=f"that follows from {', '.join(s.value for s in FROM[action])}",
        )


def _breaches(plan: Plan, evidence: Evidence) -> Iterator[str]:
    gates = (update_breach, error_breach, latency_breach)
    found = [gate(group, plan) for group in evidence.groups for gate in gates]
    found += [accuracy_breach(turnout, plan) for turnout in evidence.turnouts]
    yield from filter(None, found)


def _doubts(rollout: Rollout, evidence: Evidence) -> Iterator[str]:
    """Yield what a person should look at first."""
    for bundle in evidence.unlisted:
        yield f"{bundle[:19]} is not listed any more: no device may install it"
    if not rollout.waived:
        yield from filter(None, (flagged_breach(one, rollout.plan) for one in evidence.groups))


def _lacking(rollout: Rollout, evidence: Evidence, now: datetime) -> tuple[Decision, str] | None:
    """Return what to do about what the wave has not shown, None where it has shown enough."""
    deadline, plan = rollout.deadline or now, rollout.plan
    groups = _groups(rollout, evidence)
    late = now >= deadline
    missing = next(filter(None, (_untaken(one, plan) for one in groups)), None)
    soaked = None if missing else next(filter(None, (_soaking(g, plan, now) for g in groups)), None)
    if soaked is not None and now < deadline + timedelta(seconds=plan.soak_s):
        return Decision.WAIT, soaked
    missing = missing or soaked or next(filter(None, (_untold(g, plan) for g in groups)), None)
    if missing is not None:
        if not late:
            return Decision.WAIT, missing
        return Decision.PAUSE, f"{missing}, and the deadline of {_clock(deadline)} has passed"
    if rollout.wave + 1 == rollout.waves and not late:
        straggling = next(filter(None, map(_straggling, evidence.groups)), None)
        return None if straggling is None else (Decision.WAIT, straggling)
    return None


def _gone_on(rollout: Rollout, evidence: Evidence) -> tuple[Decision, str]:
    groups = _groups(rollout, evidence)
    members = sum(one.members for one in groups)
    took = sum(len(one.commits) for one in groups)
    calls = sum(one.new.asked for one in groups)
    said = f"wave {rollout.wave + 1} of {rollout.waves}: {took} of {members} committed it, "
    said += f"{calls} calls, no gate speaks against it"
    if rollout.waived:
        said += "; what was lacking was waived"
    if rollout.wave + 1 < rollout.waves:
        return Decision.ADVANCE, said
    return Decision.COMPLETE, said


def _groups(rollout: Rollout, evidence: Evidence) -> list[Group]:
    return [one for one in evidence.groups if one.wave == rollout.wave and one.members]


def _needed(group: Group, plan: Plan) -> int:
    return max(math.ceil(plan.needed_share * group.members), 1)


def _untaken(group: Group, plan: Plan) -> str | None:
    needed, took = _needed(group, plan), len(group.commits)
    if took >= needed:
        return None
    away = f", {group.absent} are offline" if group.absent else ""
    return f"{group.name}: {took} of {group.members} committed it, {needed} are needed{away}"


def _soaking(group: Group, plan: Plan, now: datetime) -> str | None:
    """Return that too few devices have served for long enough, counted from each one's commit."""
    decisive = sorted(group.commits)[_needed(group, plan) - 1]
    ripe = decisive + timedelta(seconds=plan.soak_s)
    return None if now >= ripe else f"{group.name}: soaking until {_clock(ripe)}"


def _untold(group: Group, plan: Plan) -> str | None:
    if group.new.asked >= plan.least_calls:
        return None
    return f"{group.name}: {group.new.asked} calls with it, {plan.least_calls} are needed to judge"


def _straggling(group: Group) -> str | None:
    """Return that a device which is there has not decided; who is away is not waited for."""
    here = group.open - group.absent
    return f"{group.name}: {here} of {group.members} are still at it" if here > 0 else None


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
