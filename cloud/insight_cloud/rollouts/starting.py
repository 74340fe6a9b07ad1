# SPDX-License-Identifier: Apache-2.0
"""Work out a new rollout: the bundle of each device, and the wave. Nothing is recorded here."""

from collections.abc import Mapping
from datetime import datetime

from insight_cloud.devices.device import Device
from insight_cloud.devices.selection import Selection
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.rollouts.fitting import Fit
from insight_cloud.rollouts.joining import first_members
from insight_cloud.rollouts.plan import Plan, check_plan
from insight_cloud.rollouts.reach import Reach
from insight_cloud.rollouts.rollout import Member, Rollout, State
from insight_edge.documents.topics import check_name


def prepare(
    reach: Reach,
    what: tuple[str, int, str],
    selection: Selection,
    plan: Plan,
    *,
    by: str,
    now: datetime,
    tenant: str,
) -> tuple[Rollout, tuple[Member, ...]]:
    """Return a rollout without a number yet, and its devices.

    Args:
        reach: the services below.
        what: model, version and deployment.
        selection: which devices are meant.
        plan: waves and gates.
        by: who wants it.
        now: when.
        tenant: whose.

    Raises:
        ConfigurationError: the plan cannot be meant.
        DocumentError: the name of the deployment is none.
        NotFoundError: no bundle is listed, or no device is meant or fit.
    """
    model, version, deployment = what
    check_name("deployment", deployment)
    check_plan(plan)
    fits, devices = _fits(reach, what, selection, tenant)
    seed = f"{tenant}/{model}:{version}/{deployment}/{now.isoformat()}"
    members = first_members(seed, fits, devices, plan, now)
    rollout = Rollout(
        tenant=tenant,
        id=0,
        model=model,
        version=version,
        deployment=deployment,
        selection=selection,
        plan=plan,
        state=State.PENDING,
        reason="it begins at the worker's next turn",
        wave=0,
        waves=max(one.wave + 1 for one in members if one.wave is not None),
        deadline=None,
        waived=False,
        by=by,
        created=now,
        changed=now,
    )
    return rollout, members


def _fits(
    reach: Reach, what: tuple[str, int, str], selection: Selection, tenant: str
) -> tuple[dict[str, Fit], Mapping[str, Device]]:
    """Return the bundle of each device that is meant, or why it has none."""
    model, version, deployment = what
    label = f"{model}:{version}"
    fitting = reach.fitting(model, version)
    if not fitting.bundles:
        hint = "publish one: insight-cloud release publish"
        raise NotFoundError(f"no bundle of {label} is listed", hint=hint)
    devices = reach.selected(selection, deployment, tenant)
    if not devices:
        raise NotFoundError(f"no device that is meant has a deployment '{deployment}'")
    fits = {name: fitting.of(one) for name, one in devices.items()}
    if all(found.bundle is None for found in fits.values()):
        name, found = next(iter(fits.items()))
        raise NotFoundError(f"no device is fit for it; {name}: {found.reason}")
    return fits, devices
