# SPDX-License-Identifier: Apache-2.0
"""The second half of an update: from a filled slot to a commit, or back (pure)."""

from msgspec.structs import astuple, replace

from insight_edge.documents.host import Health, SwapRecord
from insight_edge.fleet.update import probation
from insight_edge.fleet.update.actions import Action, ActivateSlot, CommitSlot, RestoreSlot
from insight_edge.fleet.update.events import (
    Activated,
    ActivationRefused,
    CommitFailed,
    Committed,
    HostCame,
    HostLeft,
)
from insight_edge.fleet.update.policy import Policy
from insight_edge.fleet.update.probation import Probation
from insight_edge.fleet.update.state import UpdateState
from insight_edge.fleet.update.transitions import given_up, idle, put_back, put_off, refusing

GAVE_UP, LOST = "UpdateError", "HostError"
"""Kinds of refusal: by probation, and because the host was lost."""

_MOST = 2**53
"""Of anything in a record; NaN and infinity are beyond it too."""

Decided = Activated | ActivationRefused | Committed | CommitFailed


def learned(state: UpdateState, event: Decided, now_s: float, policy: Policy) -> UpdateState:
    """Return the state with the answer to an activation or a commit taken in."""
    match event:
        case Activated(record) if state.doing in {"activate", "restore"}:
            swap = record if _is_sound(record) else None
            return replace(
                state, doing=None, serving=record.target, swap=swap, attempts=0, retry_at_s=None
            )
        case ActivationRefused() if state.doing == "activate":
            return _activation_refused(state, event, now_s, policy)
        case ActivationRefused() if state.doing == "restore":
            return _restore_refused(state, event, now_s, policy)
        case Committed(slot) if state.doing == "commit" and slot == state.slot:
            return committed(replace(state, doing=None))
        case CommitFailed(kind, reason) if state.doing == "commit":
            return put_back(state, kind, reason, now_s, policy, state.attempts + 1)
        case _:
            return state


def host_changed(
    state: UpdateState, event: HostCame | HostLeft, now_s: float, policy: Policy
) -> UpdateState:
    """Return the state after a host came or was lost; one that comes again was lost before."""
    if state.attached or isinstance(event, HostLeft):
        state = _lost(state, now_s, policy)
    if isinstance(event, HostLeft):
        return state
    # A host that is lost while it goes back would come and be asked for ever.
    tired = state.phase == "idle" and state.losses >= policy.most_losses
    return replace(state, attached=True, serving=event.serving, restore_given_up=tired)


def observed(state: UpdateState, health: Health, now_s: float, policy: Policy) -> UpdateState:
    """Return the state with one health of the host taken in."""
    if not state.attached:
        return state
    was, state = state.serving, replace(state, serving=health.serving)
    target, seen = state.target, state.probation
    if state.phase != "probation" or target is None or seen is None:
        return state
    if health.serving == target.bundle:
        seen = probation.pass_time(seen, now_s, policy)
        return replace(state, probation=probation.add(seen, health, state.before, policy))
    return _count_loss(state, now_s, policy) if was == target.bundle else state


def passed(state: UpdateState, now_s: float, policy: Policy) -> UpdateState:
    """Return the state at a later time."""
    if state.phase != "probation" or state.probation is None or not state.attached:
        return state
    return replace(state, probation=probation.pass_time(state.probation, now_s, policy))


def detached(state: UpdateState) -> UpdateState:
    """Return the state without a host, and without what was asked of it."""
    seen = state.probation
    return replace(
        state,
        attached=False,
        serving=None,
        health=None,
        doing=None if state.doing in {"activate", "restore"} else state.doing,
        probation=None if seen is None else probation.pause(seen),
    )


def committed(state: UpdateState) -> UpdateState:
    """Return the state with the target committed: done, or for a first bundle, to be activated."""
    target = state.target
    if target is None:
        return state
    state = replace(
        state, committed=target.bundle, committed_slot=state.slot, attempts=0, retry_at_s=None
    )
    if not state.committing:
        return state
    return replace(idle(state), refusal=None, refused=None, restored_from=None)


def settled(state: UpdateState, now_s: float, policy: Policy) -> UpdateState:
    """Return the state with what follows from it taken, as far as nothing has to be done."""
    target = state.target
    if target is None:
        return state
    serves = state.attached and state.serving == target.bundle
    if state.phase == "activating" and serves and state.committed is not None:
        seen = probation.pass_time(state.probation or Probation(), now_s, policy)
        state = replace(state, phase="probation", doing=None, probation=seen)
    if state.phase == "probation" and not (state.committing or state.restoring):
        state = _judged(state, now_s, policy)
    if state.restoring and (not state.attached or state.serving == state.committed):
        state = idle(state)
    return state


def next_action(state: UpdateState) -> tuple[UpdateState, Action | None]:
    """Return what to do next with a filled slot, and the state in which it is under way."""
    slot = state.slot
    if slot is not None and (state.committing or _is_first(state)):
        return replace(state, doing="commit", retry_at_s=None), CommitSlot(slot)
    if slot is not None and state.phase == "activating" and state.attached:
        before = state.before or state.health
        state = replace(state, doing="activate", retry_at_s=None, before=before)
        return state, ActivateSlot(slot)
    back = state.committed_slot
    if back is not None and _is_astray(state):
        return replace(state, doing="restore", retry_at_s=None), RestoreSlot(back)
    return state, None


def _is_first(state: UpdateState) -> bool:
    return state.phase == "activating" and state.committed is None


def _is_astray(state: UpdateState) -> bool:
    """Return whether the host serves something else than what nothing speaks against."""
    if not state.attached or state.committed is None or state.serving == state.committed:
        return False
    return state.restoring or (state.phase == "idle" and not state.restore_given_up)


def _judged(state: UpdateState, now_s: float, policy: Policy) -> UpdateState:
    target, seen, wanted = state.target, state.probation, state.wanted
    if target is None or seen is None:
        return state
    if wanted is not None and wanted.bundle == state.committed != target.bundle:
        return replace(state, restoring=True, decision="the earlier bundle is wanted again")
    if state.attached and state.serving != target.bundle:
        return replace(state, phase="activating", probation=probation.interrupt(seen))
    verdict = probation.judge(seen, policy)
    if verdict.what == "restore":
        return _failed(state, GAVE_UP, verdict.reason, now_s)
    if verdict.what == "commit" and state.attached:
        return replace(state, committing=True, decision=verdict.reason)
    return state


def _failed(state: UpdateState, kind: str, reason: str, now_s: float) -> UpdateState:
    """Return the state that goes back to the committed bundle, where there is another."""
    target = state.target
    if target is None or target.bundle == state.committed:
        alone = f"{reason}; there is no earlier bundle to go back to"
        return replace(given_up(state, kind, alone, now_s), decision=alone)
    state = refusing(state, kind, reason, now_s)
    return replace(
        state,
        phase="probation",
        restoring=True,
        refused=target,
        restored_from=target.bundle,
        decision=reason,
    )


def _lost(state: UpdateState, now_s: float, policy: Policy) -> UpdateState:
    judging = state.phase == "probation" and not (state.committing or state.restoring)
    counts = state.attached and (judging or state.doing in {"activate", "restore"})
    state = detached(state)
    return _count_loss(state, now_s, policy) if counts else state


def _count_loss(state: UpdateState, now_s: float, policy: Policy) -> UpdateState:
    state = replace(state, losses=state.losses + 1)
    if state.target is None or state.restoring or state.losses < policy.most_losses:
        return state
    reason = f"the runtime host was lost {state.losses} times with this bundle"
    if state.probation is None:
        return given_up(state, LOST, reason, now_s)
    return _failed(state, LOST, reason, now_s)


def _activation_refused(
    state: UpdateState, event: ActivationRefused, now_s: float, policy: Policy
) -> UpdateState:
    if _may_pass(event):
        return put_back(state, event.kind, event.reason, now_s, policy, state.attempts + 1)
    target, served = state.target, state.probation is not None
    alone = state.slot == state.committed_slot
    state = given_up(state, event.kind, f"{event.phase}: {event.reason}", now_s)
    if served and target is not None and not alone:
        state = replace(state, restored_from=target.bundle)
    return replace(state, restore_given_up=alone)


def _restore_refused(
    state: UpdateState, event: ActivationRefused, now_s: float, policy: Policy
) -> UpdateState:
    if _may_pass(event):
        return put_off(state, now_s, policy)
    why = f"{event.phase}: {event.reason}"
    noted = state.refusal
    if state.restoring and noted is not None:
        both = f"{noted.reason}; going back was refused: {why}"
        state = replace(state, refusal=replace(noted, reason=both))
    else:
        state = refusing(state, event.kind, f"going back was refused: {why}", now_s)
    return replace(idle(state), doing=None, restore_given_up=True)


def _is_sound(record: SwapRecord) -> bool:
    """Return whether its figures can be written down."""
    figures = (one for one in astuple(record) if isinstance(one, float | int))
    return all(abs(figure) <= _MOST for figure in figures)


def _may_pass(event: ActivationRefused) -> bool:
    """Return whether the host only had another swap under way."""
    return (event.phase, event.kind) == ("request", GAVE_UP)
