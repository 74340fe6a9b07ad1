# SPDX-License-Identifier: Apache-2.0
"""Why a rollout has not brought its bundle to a device yet, in one sentence. Pure."""

from insight_cloud.rollouts.rollout import ACTIVE, Member, MemberState, Rollout, State


def why_not_by_rollout(rollout: Rollout, member: Member) -> str | None:
    """Return what the rollout itself says, None where the rest is up to the device."""
    name = f"Rollout {rollout.id} of {rollout.label}"
    if member.state is MemberState.LEFT:
        return f"{name} has let the device go: {member.note}."
    if rollout.state not in ACTIVE:
        return _over(name, rollout, member)
    if member.state is MemberState.UNFIT:
        return f"{name} has nothing for it: {member.note}."
    if member.state is MemberState.WAITING:
        return _waiting(name, rollout, member)
    if member.state is MemberState.KEPT:
        return f"{name} is rolled back ({rollout.reason}), and {member.note}: it keeps the bundle."
    return None


def release_state_of(rollout: Rollout, member: Member) -> str | None:
    """Return what holds a device back that was not told yet, as a clause."""
    if rollout.state not in ACTIVE or member.revision is not None:
        return None
    if member.state in {MemberState.ASKED, MemberState.RETURNING}:
        return f"rollout {rollout.id} of {rollout.label} is about to tell it"
    return None


def _waiting(name: str, rollout: Rollout, member: Member) -> str:
    if rollout.state is State.PENDING:
        return f"{name} has not begun."
    if rollout.state is State.PAUSED:
        return f"{name} is paused: {rollout.reason}."
    if rollout.state is State.ROLLING_BACK:
        return f"{name} is rolled back before its turn: {rollout.reason}."
    wave = (member.wave or 0) + 1
    if wave <= rollout.wave + 1:
        return f"{name} is about to ask it: wave {wave} of {rollout.waves} has begun."
    return (
        f"{name} has not come to its wave {wave} of {rollout.waves}; wave {rollout.wave + 1} is "
        f"under way: {rollout.reason}."
    )


def _over(name: str, rollout: Rollout, member: Member) -> str | None:
    """Return how a rollout ended that never came to a device, or that it was not fit for."""
    if member.state is MemberState.UNFIT:
        return f"{name} had nothing for it: {member.note}."
    if member.state is not MemberState.WAITING:
        return None
    ended = rollout.state.value.replace("_", " ")
    return f"{name} was {ended} before its turn: {rollout.reason}."
