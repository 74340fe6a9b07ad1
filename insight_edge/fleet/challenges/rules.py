# SPDX-License-Identifier: Apache-2.0
"""What follows for the challenger of one deployment: pure, without clock and without I/O.

`learned` takes in what happened, `next_step` says what is to be done about the state as it is,
`ChallengerState` of it is told the cloud. What serves comes first: a challenger runs only while no
update is under way, is ended before another is fetched, and is given up where the host was lost
with it more often than chance would have it.
"""

from typing import Literal

import msgspec
from msgspec.structs import replace

from insight_edge.documents.desired import Challenging
from insight_edge.documents.device import ChallengerState, Refusal
from insight_edge.fleet.update.events import Event, HealthSeen, HostCame, HostLeft
from insight_edge.fleet.update.policy import Policy

PHASE = "challenging"
"""Of a refusal."""


class Laid(Event, frozen=True):
    """The slot holds the bundle; the memory that its artifact may take."""

    bundle: str
    needed_bytes: int


class NotLaid(Event, frozen=True):
    """It could not be fetched or laid; `final` where trying again would not help."""

    bundle: str
    kind: str
    reason: str
    final: bool


class Swept(Event, frozen=True):
    """The slot is empty."""


class Challenges(Event, frozen=True):
    """The host has done what it was asked; what challenges now."""

    bundle: str | None


class ChallengeRefused(Event, frozen=True):
    """The host has not; nothing challenges."""

    kind: str
    reason: str


OF_CHALLENGES = (Laid, NotLaid, Swept, Challenges, ChallengeRefused)
"""Events that no update listens to."""

Doing = Literal["lay", "sweep", "begin", "end"]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the challenger of a deployment depends on.

    Attributes:
        wanted: None for none; `revision` of the `Desired` that says so, and `expires_s`.
        laid: digest in the slot, accepted and whole; `needed_bytes` of memory.
        running: digest of what the host compares for the cloud, as it says.
        told: what this host was told last.
        attached: whether there is a host; `calm` where it serves and no update is under way.
        doing: for which an event is awaited.
        losses: times that the host was lost with it.
        given_up: only a higher revision tries again.
    """

    wanted: Challenging | None = None
    revision: int = 0
    expires_s: float | None = None
    laid: str | None = None
    needed_bytes: int = 0
    running: str | None = None
    told: Challenging | None = None
    attached: bool = False
    calm: bool = False
    doing: Doing | None = None
    attempts: int = 0
    retry_at_s: float | None = None
    losses: int = 0
    given_up: bool = False
    refusal: Refusal | None = None


def desired(
    state: Standing, wanted: Challenging | None, revision: int, expires_s: float
) -> Standing:
    """Return the state with what the newest `Desired` says; the same revision changes nothing."""
    if revision <= state.revision:
        return state
    state = replace(state, revision=revision, expires_s=expires_s)
    if wanted == state.wanted and not state.given_up:
        return state
    return replace(
        state, wanted=wanted, attempts=0, retry_at_s=None, losses=0, given_up=False, refusal=None
    )


def learned(  # noqa: PLR0911 (one for each kind of event)
    state: Standing, event: Event, now_s: float, policy: Policy
) -> Standing:
    """Return the state with what an event says taken in; one of something else changes nothing."""
    match event:
        case HostCame():
            return replace(state, attached=True, told=None, running=None)
        case HostLeft():
            return _left(state, now_s, policy)
        case HealthSeen(health):
            return _seen(state, health.challenger)
        case Laid(bundle, needed_bytes):
            return replace(_succeeded(state), laid=bundle, needed_bytes=needed_bytes)
        case Swept():
            return replace(state, laid=None, doing=None)
        case Challenges(bundle):
            return replace(_succeeded(state), running=bundle if state.attached else None)
        case NotLaid(bundle) if state.wanted is None or bundle != state.wanted.bundle:
            return replace(state, doing=None)  # nobody wants it any more
        case NotLaid(_, kind, reason, final):
            return _failed(state, kind, reason, now_s, policy, final=final)
        case ChallengeRefused(kind, reason):
            final = state.told == state.wanted  # else it was said of the one before
            state = replace(state, running=None, told=None)
            return _failed(state, kind, reason, now_s, policy, final=final)
        case _:
            return state


def next_step(
    state: Standing, now_s: float, policy: Policy, *, held: bool, free_bytes: int
) -> tuple[Standing, Doing | None]:
    """Return the state and what is to be done now, which is at most one thing.

    Args:
        state: of the challenger.
        now_s: seconds since the epoch.
        policy: pauses.
        held: the device's owner lets nothing be installed.
        free_bytes: of memory that a program could take.
    """
    if state.doing is not None:
        return state, None
    wanted = None if state.given_up else state.wanted
    if _ours(state) and (wanted is None or not state.calm or wanted != state.told):
        return replace(state, doing="end", told=None), "end"
    if wanted is None:
        return (state, None) if state.laid is None else (replace(state, doing="sweep"), "sweep")
    if not policy.is_due(state.retry_at_s, now_s):
        return state, None
    if state.laid != wanted.bundle:
        late = state.expires_s is not None and now_s > state.expires_s
        return (state, None) if held or late else (replace(state, doing="lay"), "lay")
    return _begun(state, wanted, now_s, policy, free_bytes)


def _begun(
    state: Standing, wanted: Challenging, now_s: float, policy: Policy, free_bytes: int
) -> tuple[Standing, Doing | None]:
    if not (state.attached and state.calm) or state.told == wanted:
        return state, None
    if free_bytes < state.needed_bytes:
        words = f"{state.needed_bytes} bytes of memory may be needed, {free_bytes} are free"
        return _failed(state, "LoadFailedError", words, now_s, policy, final=False), None
    return replace(state, doing="begin", told=wanted), "begin"


def told(state: Standing) -> ChallengerState | None:
    """Return what the device reports of it."""
    if state.wanted is None:
        return None
    phase: Literal["waiting", "fetching", "running", "refused"] = "waiting"
    if state.given_up:
        phase = "refused"
    elif state.running == state.wanted.bundle and state.told == state.wanted:
        phase = "running"
    elif state.doing == "lay":
        phase = "fetching"
    return ChallengerState(bundle=state.wanted.bundle, phase=phase, refusal=state.refusal)


def _ours(state: Standing) -> bool:
    """Return whether the host compares something for the cloud."""
    return state.attached and state.running is not None


def _seen(state: Standing, running: str | None) -> Standing:
    if not state.attached or state.doing in {"begin", "end"}:
        return state  # asked before it was done
    lost = running is None and state.running is not None
    return replace(state, running=running, told=None if lost else state.told)


def _left(state: Standing, now_s: float, policy: Policy) -> Standing:
    with_it = state.doing == "begin" or _ours(state)
    doing = (
        None if state.doing in {"begin", "end"} else state.doing
    )  # the slot is filled all the same
    state = replace(state, attached=False, running=None, told=None, doing=doing)
    if not with_it:
        return state
    state = replace(state, losses=state.losses + 1)
    words = f"the host was lost {state.losses} times with it"
    final = state.losses >= policy.most_losses
    failed = _failed(state, "HostError", words, now_s, policy, final=final)
    return replace(failed, doing=doing)


def _succeeded(state: Standing) -> Standing:
    return replace(state, doing=None, attempts=0, retry_at_s=None, refusal=None)


def _failed(
    state: Standing, kind: str, reason: str, now_s: float, policy: Policy, *, final: bool
) -> Standing:
    bundle = None if state.wanted is None else state.wanted.bundle
    return replace(
        state,
        doing=None,
        attempts=state.attempts + 1,
        retry_at_s=now_s + policy.pause_s(state.attempts + 1),
        given_up=state.given_up or final,
        refusal=Refusal(kind=kind, reason=reason, phase=PHASE, bundle=bundle, at_s=now_s),
    )
