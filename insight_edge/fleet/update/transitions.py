# SPDX-License-Identifier: Apache-2.0
"""Changes of an update's state that several of its phases share (pure)."""

from msgspec.structs import replace

from insight_edge.documents.device import Refusal
from insight_edge.fleet.update.policy import Policy
from insight_edge.fleet.update.state import UpdateState


def idle(state: UpdateState) -> UpdateState:
    """Return the state with nothing under way; what was learned stays."""
    return replace(
        state,
        phase="idle",
        target=None,
        accepted=False,
        slot=None,
        attempts=0,
        retry_at_s=None,
        losses=0,
        committing=False,
        restoring=False,
        probation=None,
        before=None,
    )


def dropped(state: UpdateState) -> UpdateState:
    """Return the state without its target where that can still be dropped.

    What the host was asked to activate is first decided about, and a commit is written.
    """
    asked = state.doing in {"activate", "commit"} or state.probation is not None
    return state if asked else idle(state)


def is_under_way_to(state: UpdateState, bundle: str) -> bool:
    """Return whether the target is this bundle."""
    return state.target is not None and state.target.bundle == bundle


def put_back(
    state: UpdateState, kind: str, reason: str, now_s: float, policy: Policy, attempts: int
) -> UpdateState:
    """Return the state after a failure that may pass: the same is asked for again later."""
    state = refusing(state, kind, reason, now_s)
    return put_off(replace(state, accepted=False, attempts=attempts - 1), now_s, policy)


def put_off(state: UpdateState, now_s: float, policy: Policy) -> UpdateState:
    """Return the state with what is under way asked for again later, after one more failure."""
    attempts = state.attempts + 1
    retry_at_s = now_s + policy.pause_s(attempts)
    return replace(state, doing=None, attempts=attempts, retry_at_s=retry_at_s)


def given_up(state: UpdateState, kind: str, reason: str, now_s: float) -> UpdateState:
    """Return the state after a failure for good: idle, and the same revision is not tried again."""
    refused = state.target
    state = refusing(state, kind, reason, now_s)
    return idle(replace(state, doing=None, refused=refused))


def refusing(state: UpdateState, kind: str, reason: str, now_s: float) -> UpdateState:
    """Return the state with a refusal of its target noted, or of the committed bundle."""
    bundle = state.committed if state.target is None else state.target.bundle
    refusal = Refusal(kind=kind, reason=reason, phase=state.phase, bundle=bundle, at_s=now_s)
    return replace(state, refusal=refusal)
