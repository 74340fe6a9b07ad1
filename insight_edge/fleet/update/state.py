# SPDX-License-Identifier: Apache-2.0
"""Where the update of one deployment stands: what `protocol.advance` takes and returns.

The journal keeps it as a document. Some of it is only true while this agent and
this host live (`attached`, `serving`, `health`, `doing`); `durable` leaves that
out, so that the journal is not written at every heartbeat.
"""

from typing import Literal

from msgspec.structs import replace

from insight_edge.documents.codec import Document, Versioned
from insight_edge.documents.device import DeploymentState, Phase, Refusal
from insight_edge.documents.host import Health, SwapRecord
from insight_edge.fleet.update.policy import Policy
from insight_edge.fleet.update.probation import Probation

Doing = Literal["fetch", "stage", "activate", "commit", "restore"]

KEPT_EVERY_S = 10.0
"""Of a probation, at most so much is forgotten when the agent is killed."""


class Want(Document, frozen=True, kw_only=True):
    """A bundle that a revision of `Desired` names.

    Attributes:
        expires_s: later it is not begun; None for never.
    """

    bundle: str
    revision: int
    expires_s: float | None = None


class UpdateState(Versioned, frozen=True, kw_only=True):
    """Everything the update of one deployment depends on.

    Attributes:
        wanted: named last; None where this deployment is left as it is.
        target: under way; None in phase `idle`.
        accepted: the trust check has accepted the target's manifest.
        slot: that holds the target, once it is staged.
        committed: digest of the manifest in the committed slot, as far as it can be read.
        doing: the action under way, for which an event is awaited.
        refused: given up for good; only a higher revision tries it again.
        attempts: failed in a row.
        retry_at_s: nothing is asked for before; None for at once.
        losses: times that the host was lost with the target.
        committing, restoring: what probation has decided.
        restore_given_up: the host refused to go back; asked again when a host comes.
        before: health of the old bundle when the target was activated.
        decision: of the last probation, in one line.
        health: of the committed bundle, told last.
    """

    phase: Phase = "idle"
    wanted: Want | None = None
    target: Want | None = None
    accepted: bool = False
    slot: str | None = None
    committed: str | None = None
    committed_slot: str | None = None
    doing: Doing | None = None
    held: bool = False
    refused: Want | None = None
    attempts: int = 0
    retry_at_s: float | None = None
    losses: int = 0
    committing: bool = False
    restoring: bool = False
    restore_given_up: bool = False
    probation: Probation | None = None
    before: Health | None = None
    swap: SwapRecord | None = None
    refusal: Refusal | None = None
    restored_from: str | None = None
    decision: str = ""
    attached: bool = False
    serving: str | None = None
    health: Health | None = None


def durable(state: UpdateState) -> UpdateState:
    """Return what of a state must outlive the agent; where it has changed, it is journaled."""
    seen = state.probation
    if seen is not None:
        whole_s = seen.elapsed_s // KEPT_EVERY_S * KEPT_EVERY_S
        seen = Probation(elapsed_s=whole_s)
    return replace(state, attached=False, serving=None, health=None, doing=None, probation=seen)


def deployment_state(
    state: UpdateState,
    *,
    progress_bytes: int = 0,
    total_bytes: int = 0,
    policy: Policy | None = None,
) -> DeploymentState:
    """Return what the device reports of a deployment.

    Args:
        state: of its update.
        progress_bytes: of the bundle being fetched, that are here.
        total_bytes: of that bundle.
        policy: says how long a probation is.
    """
    seen = state.probation
    ends_s = None
    if seen is not None and seen.seen_s is not None:
        left_s = (policy or Policy()).probation_s - seen.elapsed_s
        ends_s = float(round(seen.seen_s + max(left_s, 0.0)))
    return DeploymentState(
        phase=state.phase,
        serving=state.serving,
        committed=state.committed,
        target=None if state.target is None else state.target.bundle,
        attached=state.attached,
        probation_ends_s=ends_s,
        progress_bytes=progress_bytes,
        total_bytes=total_bytes,
        swap=state.swap,
        refusal=state.refusal,
        restored_from=state.restored_from,
    )
