# SPDX-License-Identifier: Apache-2.0
"""Why a device does not run what it should, in one sentence. Pure."""

from dataclasses import dataclass
from datetime import datetime

from insight_cloud.devices.timeline import one_line
from insight_edge.documents.desired import Assignment
from insight_edge.documents.device import DeploymentState, Refusal, Reported


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known of a deployment on a device.

    Attributes:
        retired: when the device was.
        revision: of what the device should run; 0 before there is any.
        wanted: what the deployment should run, None where nothing was assigned.
        release_state: why the release itself goes no further, as a clause ("the rollout is
            paused"), from whoever rolls it out.
        mismatch: why the hardware is not what the device was enrolled for.
        online: whether a session of the device is open.
        last_seen: None before it has ever connected.
        reported: its last state.
    """

    deployment: str
    retired: datetime | None = None
    revision: int = 0
    wanted: Assignment | None = None
    release_state: str | None = None
    mismatch: str | None = None
    online: bool = False
    last_seen: datetime | None = None
    reported: Reported | None = None


def why_not_updated(standing: Standing) -> str | None:
    """Return one sentence, or None where the deployment runs what it should for good."""
    if standing.retired is not None:
        return f"The device was retired on {standing.retired:%Y-%m-%d}."
    if standing.wanted is None:
        return f"Nothing was assigned to '{standing.deployment}' yet."
    state = _state(standing)
    if state is not None and state.committed == state.serving == standing.wanted.bundle:
        return None
    return (
        _not_allowed(standing)
        or _not_reached(standing)
        or _not_accepted(standing)
        or _not_installed(standing, standing.wanted.bundle, state)
    )


def _state(standing: Standing) -> DeploymentState | None:
    reported = standing.reported
    return None if reported is None else reported.deployments.get(standing.deployment)


def _not_allowed(standing: Standing) -> str | None:
    if standing.release_state:
        return f"It is not released to the device: {one_line(standing.release_state)}."
    if standing.mismatch:
        return f"Its hardware has changed: the profile it was enrolled for {standing.mismatch}."
    return None


def _not_reached(standing: Standing) -> str | None:
    if standing.last_seen is None:
        return "The device was enrolled and has not connected yet."
    if not standing.online:
        return (
            f"The device is offline; it was last seen on {standing.last_seen:%Y-%m-%d %H:%M} UTC."
        )
    if standing.reported is None:
        return "The device is online and has not told its state yet."
    return None


def _not_accepted(standing: Standing) -> str | None:
    reported = standing.reported
    if reported is None or reported.revision >= standing.revision:
        return None
    if reported.held:
        return "The device's owner has stopped updates on it."
    if reported.refusal is not None:
        return f"The device refuses to be told: {_refused(reported.refusal)}."
    return (
        f"The device is online at revision {reported.revision} and has not accepted "
        f"{standing.revision} yet."
    )


def _not_installed(standing: Standing, bundle: str, state: DeploymentState | None) -> str:
    if state is None:
        return f"The device knows no deployment '{standing.deployment}'."
    if state.serving == bundle:
        return "It serves the new bundle on probation."
    if standing.reported is not None and standing.reported.held:
        return "The device's owner has stopped updates on it."
    if state.target == bundle and state.phase != "idle":
        return _under_way(standing, bundle, state)
    if state.committed == bundle and not state.attached:
        return _awaited(standing, f"{_short(bundle)} is committed on", "serve")
    return _given_up(state, bundle) or (
        f"The device accepted revision {standing.revision} and has not begun yet."
    )


def _given_up(state: DeploymentState, bundle: str) -> str | None:
    if state.restored_from == bundle:
        cause = f": {_refused(state.refusal)}" if state.refusal else ""
        return f"It was installed and given up in its probation{cause}."
    if state.refusal is not None and state.refusal.bundle in {bundle, None}:
        return f"The device refused it: {_refused(state.refusal)}."
    return None


def _under_way(standing: Standing, bundle: str, state: DeploymentState) -> str:
    if state.phase == "fetching" and state.total_bytes > 0:
        done, total = state.progress_bytes / 1e6, state.total_bytes / 1e6
        return f"The device is fetching it: {done:.1f} of {total:.1f} MB."
    if state.phase == "activating" and not state.attached:
        return _awaited(standing, f"{_short(bundle)} is staged on", "be activated")
    return f"The update is under way: {state.phase}."


def _awaited(standing: Standing, what: str, then: str) -> str:
    """Return that nothing but an application is missing."""
    device = "the device" if standing.reported is None else one_line(standing.reported.device)
    return (
        f"Bundle {what} {device}; it will {then} when an application attaches to "
        f"'{standing.deployment}'."
    )


def _short(bundle: str) -> str:
    return bundle.removeprefix("sha256:")[:12]


def _refused(refusal: Refusal) -> str:
    """Return kind, phase and reason without a full stop."""
    return one_line(f"{refusal.kind} while {refusal.phase}: {refusal.reason}").rstrip(".")
