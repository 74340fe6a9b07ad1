# SPDX-License-Identifier: Apache-2.0
"""The first half of an update: from a wanted digest to a filled slot (pure)."""

from msgspec.structs import replace

from insight_edge.fleet.update.actions import Action, FetchBundle, StageBundle
from insight_edge.fleet.update.events import (
    Fetched,
    FetchFailed,
    ManifestAccepted,
    Staged,
    StageFailed,
)
from insight_edge.fleet.update.policy import Policy
from insight_edge.fleet.update.state import UpdateState, Want
from insight_edge.fleet.update.transitions import (
    given_up,
    idle,
    is_under_way_to,
    put_back,
    refusing,
)

EXPIRED = "ExpiredError"

Acquired = ManifestAccepted | Fetched | FetchFailed | Staged | StageFailed


def learned(state: UpdateState, event: Acquired, now_s: float, policy: Policy) -> UpdateState:
    """Return the state with news of a fetch or staging taken in, if it is of the target."""
    awaited = "stage" if isinstance(event, Staged | StageFailed) else "fetch"
    if not is_under_way_to(state, event.bundle) or state.doing != awaited:
        return state
    match event:
        case ManifestAccepted():
            return replace(state, accepted=True)
        case Fetched():
            return replace(state, phase="staging", doing=None) if state.accepted else state
        case Staged(slot=slot):
            return replace(state, phase="activating", slot=slot, doing=None, attempts=0)
        case StageFailed():
            return _stage_failed(state, event, now_s, policy)
        case FetchFailed():
            return _fetch_failed(state, event, now_s, policy)


def next_action(state: UpdateState, now_s: float) -> tuple[UpdateState, Action | None]:
    """Return what to do next towards a filled slot, and the state in which it is under way."""
    if state.phase == "idle":
        state = _begun(state)
    want = state.target
    if want is None:
        return state, None
    if state.phase == "staging":
        return replace(state, doing="stage", retry_at_s=None), StageBundle(want.bundle)
    if state.phase != "fetching":
        return state, None
    if want.expires_s is not None and now_s >= want.expires_s:
        return _expired(state, want, now_s), None
    return replace(state, doing="fetch", retry_at_s=None), FetchBundle(want.bundle)


def _begun(state: UpdateState) -> UpdateState:
    """Return the state with the wanted bundle as its target, if it may be begun."""
    want, refused = state.wanted, state.refused
    if want is None or state.held or want.bundle == state.committed:
        return state
    if refused is not None and refused.bundle == want.bundle and want.revision <= refused.revision:
        return state
    return replace(idle(state), phase="fetching", target=want)


def _expired(state: UpdateState, want: Want, now_s: float) -> UpdateState:
    """Return the state without its target, for as long as the clock says so."""
    reason = f"revision {want.revision} expired before the bundle was fetched"
    noted = state.refusal
    if noted is None or (noted.kind, noted.reason) != (EXPIRED, reason):
        state = refusing(state, EXPIRED, reason, now_s)
    return idle(state)


def _fetch_failed(
    state: UpdateState, event: FetchFailed, now_s: float, policy: Policy
) -> UpdateState:
    if event.final:
        return given_up(state, event.kind, event.reason, now_s)
    attempts = 1 if event.gained_bytes >= policy.gain_bytes else state.attempts + 1
    return put_back(state, event.kind, event.reason, now_s, policy, attempts)


def _stage_failed(
    state: UpdateState, event: StageFailed, now_s: float, policy: Policy
) -> UpdateState:
    if event.final:
        return given_up(state, event.kind, event.reason, now_s)
    put = put_back(state, event.kind, event.reason, now_s, policy, state.attempts + 1)
    # From the fetch on: what is missing or broken among the files is fetched anew.
    return replace(put, phase="fetching")
