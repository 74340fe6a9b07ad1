# SPDX-License-Identifier: Apache-2.0
"""The update protocol of one deployment: pure, without clock and without I/O.

`advance` is told what happened and returns the new state and what is to be done.
Each event first changes what is known; what follows from the state as a whole is
then worked out from it alone, whatever order things came in. So an agent that was
killed asks again for what it was about, and an event heard twice does no harm.

    idle -> fetching -> staging -> activating -> probation -> idle

Nothing is committed that did not serve through probation, except where nothing
was committed before. What serves is never given up for something that is not
staged and checked. Times are the device's clock, which may jump.
"""

from msgspec.structs import replace

from insight_edge.documents.host import Health
from insight_edge.fleet.update import acquiring, takeover
from insight_edge.fleet.update.actions import Action, CancelFetch, ReportState
from insight_edge.fleet.update.events import (
    Activated,
    ActivationRefused,
    CommitFailed,
    Committed,
    Event,
    Fetched,
    FetchFailed,
    HealthSeen,
    Held,
    HostCame,
    HostLeft,
    ManifestAccepted,
    Released,
    Restarted,
    Staged,
    StageFailed,
    Tick,
    Unwanted,
    Wanted,
)
from insight_edge.fleet.update.policy import Policy
from insight_edge.fleet.update.probation import better_baseline
from insight_edge.fleet.update.state import UpdateState, Want, deployment_state
from insight_edge.fleet.update.transitions import dropped, idle, is_under_way_to

DEFAULT = Policy()

_MOST = 2**53
"""Of anything that a host counts; NaN and infinity are beyond it too."""


def advance(
    state: UpdateState, event: Event, now_s: float, policy: Policy = DEFAULT
) -> tuple[UpdateState, tuple[Action, ...]]:
    """Return the state after an event, and the actions to carry out in order.

    Args:
        state: before.
        event: what happened.
        now_s: seconds since the epoch by the device's clock.
        policy: pauses and bounds.

    Raises:
        TypeError: it is no event of this protocol.
    """
    known = _learned(state, event, now_s, policy)
    cancelled: tuple[Action, ...] = ()
    if known.doing in {"fetch", "stage"} and known.target is None:
        known, cancelled = replace(known, doing=None), (CancelFetch(),)
    known = takeover.settled(known, now_s, policy)
    new, wished = _act(known, now_s, policy)
    told = deployment_state(new, policy=policy) != deployment_state(state, policy=policy)
    return new, (*cancelled, *wished, *((ReportState(),) if told else ()))


def _learned(  # noqa: PLR0911 (one for each kind of event)
    state: UpdateState, event: Event, now_s: float, policy: Policy
) -> UpdateState:
    """Return the state with what an event says taken in."""
    match event:
        case Wanted() | Unwanted() | Held() | Released():
            return _wished(state, event)
        case ManifestAccepted() | Fetched() | FetchFailed() | Staged() | StageFailed():
            return acquiring.learned(state, event, now_s, policy)
        case Activated() | ActivationRefused() | Committed() | CommitFailed():
            return takeover.learned(state, event, now_s, policy)
        case HostCame() | HostLeft():
            return takeover.host_changed(state, event, now_s, policy)
        case HealthSeen(health) if not _is_sound(health):
            return state
        case HealthSeen(health):
            return takeover.observed(_compared(state, health, policy), health, now_s, policy)
        case Restarted():
            return _restarted(state, event)
        case Tick():
            return takeover.passed(state, now_s, policy)
        case _:
            raise TypeError(f"{type(event).__name__} is no event of an update")


def _is_sound(health: Health) -> bool:
    """Return whether the host's figures are such as can be counted with, and written down."""
    figures = (health.asked, health.answered, health.failed, health.rss_bytes, health.p99_ms or 0)
    return all(0 <= figure <= _MOST for figure in figures)


def _act(
    state: UpdateState, now_s: float, policy: Policy
) -> tuple[UpdateState, tuple[Action, ...]]:
    """Return the one action that the state asks for, if it is time and nothing is under way."""
    if state.doing is not None or not policy.is_due(state.retry_at_s, now_s):
        return state, ()
    state, action = takeover.next_action(state)
    if action is None:
        state, action = acquiring.next_action(state, now_s)
    return state, () if action is None else (action,)


def _wished(state: UpdateState, event: Wanted | Unwanted | Held | Released) -> UpdateState:
    match event:
        case Wanted(bundle, revision, expires_s):
            return _wanted(state, Want(bundle=bundle, revision=revision, expires_s=expires_s))
        case Unwanted():
            return dropped(replace(state, wanted=None))
        case _:
            return replace(state, held=isinstance(event, Held))


def _wanted(state: UpdateState, want: Want) -> UpdateState:
    old = state.wanted
    if old is not None and want.revision <= old.revision:
        return state
    state = replace(state, wanted=want)
    if is_under_way_to(state, want.bundle):
        # Somebody wants it still: what it waits for may have been mended.
        return replace(state, target=want, attempts=0, retry_at_s=None)
    state = dropped(state)
    if state.phase == "idle" and want.bundle == state.committed:
        return replace(state, refusal=None, refused=None)
    return state


def _compared(state: UpdateState, health: Health, policy: Policy) -> UpdateState:
    """Remember how the committed bundle does, to compare the next one with."""
    if health.serving is None or health.serving != state.committed:
        return state
    return replace(state, health=better_baseline(state.health, health, policy))


def _restarted(state: UpdateState, event: Restarted) -> UpdateState:
    """Return the state of a new agent, with what is on disk in place of what was thought."""
    slot = event.committed
    state = replace(
        takeover.detached(state),
        doing=None,
        accepted=False,
        committed=None if slot is None else event.slots.get(slot),
        committed_slot=slot,
    )
    target = state.target
    if target is None or state.slot is None:
        return state
    if event.slots.get(state.slot) != target.bundle:
        return idle(state)
    return takeover.committed(state) if state.committing and slot == state.slot else state
