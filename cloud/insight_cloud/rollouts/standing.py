# SPDX-License-Identifier: Apache-2.0
"""How a device took what it was told, read off what it says of itself. Pure.

A device that was held, is away or tries again has not failed: it is waited for.
"""

from typing import NamedTuple

from insight_cloud.rollouts.rollout import MemberState
from insight_edge.documents.device import DeploymentState, Refusal, Reported

EXPIRED = "ExpiredError"
"""What was signed is too old: it says nothing of the bundle, and is signed anew."""

MAX_REASON = 200


class Standing(NamedTuple):
    """Asked, committed or failed, and why."""

    state: MemberState
    note: str = ""


def standing(
    reported: Reported | None, deployment: str, bundle: str, revision: int | None
) -> Standing:
    """Return how a deployment took a bundle.

    Args:
        reported: the device's last state; None before it told one.
        deployment: its name.
        bundle: digest that it should run.
        revision: that says so; what was refused before it is another matter.
    """
    state = None if reported is None else reported.deployments.get(deployment)
    if reported is None or state is None:
        return Standing(MemberState.ASKED)
    if revision is None or reported.revision < revision:
        return Standing(MemberState.ASKED)
    failure = None if reported.held else _failure(state, bundle)
    if failure is not None:
        return Standing(MemberState.FAILED, failure)
    if state.committed == bundle and state.target is None and state.serving in {None, bundle}:
        return Standing(MemberState.COMMITTED)
    return Standing(MemberState.ASKED)


def _failure(state: DeploymentState, bundle: str) -> str | None:
    """Return why a bundle was given up for good, None where it is under way or serves."""
    if bundle in {state.target, state.serving}:
        return None
    refusal = state.refusal
    ours = refusal if refusal is not None and refusal.bundle == bundle else None
    if ours is not None and ours.kind == EXPIRED:
        return None
    if state.restored_from == bundle and state.committed != bundle:
        return f"given up in its probation{f': {_said(ours)}' if ours else ''}"
    return None if ours is None else f"refused: {_said(ours)}"


def _said(refusal: Refusal) -> str:
    text = f"{refusal.kind} while {refusal.phase}: {refusal.reason}"
    return "".join(c if c.isprintable() else " " for c in text[:MAX_REASON]).rstrip(". ")
