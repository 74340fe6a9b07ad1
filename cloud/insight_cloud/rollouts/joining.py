# SPDX-License-Identifier: Apache-2.0
"""Who is in a rollout: chosen at its start, and who comes later joins its last wave."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from insight_cloud.devices.device import Device
from insight_cloud.rollouts.fitting import Fit
from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.reach import Reach
from insight_cloud.rollouts.rollout import Member, MemberState, Rollout
from insight_cloud.rollouts.storing import add_members, change_member, row_of
from insight_cloud.rollouts.waves import Candidate, allot

UNFIT, WAITING = MemberState.UNFIT, MemberState.WAITING


def first_members(
    seed: str, fits: Mapping[str, Fit], devices: Mapping[str, Device], plan: Plan, now: datetime
) -> tuple[Member, ...]:
    """Return the devices of a new rollout, each with its wave or why it has none. Pure."""
    candidates = [
        Candidate(name=name, profile=devices[name].profile, online=devices[name].online)
        for name, found in fits.items()
        if found.bundle is not None
    ]
    waves = allot(seed, candidates, plan)
    return tuple(
        _member(devices[name], found, waves.get(name), now) for name, found in fits.items()
    )


def join(
    reach: Reach,
    rollout: Rollout,
    members: Iterable[Member],
    devices: Mapping[str, Device],
    now: datetime,
) -> None:
    """Take in devices that enrolled since, and those that a bundle has been listed for since."""
    known = {one.device: one for one in members}
    fitting = reach.fitting(rollout.model, rollout.version)
    new, mended = [], []
    for name, device in devices.items():
        old = known.get(name)
        if old is not None and not _may_fit(old, device, fitting.bundles):
            continue
        found = fitting.of(device)
        wave = None if found.bundle is None else rollout.waves - 1
        if old is None:
            new.append(_member(device, found, wave, now))
        elif (found.bundle, found.reason) != (old.bundle, old.note):
            mended.append((old, _member(device, found, wave, now)))
    if not new and not mended:
        return
    with reach.database.write() as session:
        row = row_of(session, rollout.tenant, rollout.id)
        add_members(session, row, new)
        for old, member in mended:
            change_member(session, row, old, member)


def refitted(member: Member, found: Fit, now: datetime) -> Member:
    """Return a device whose turn it is, with the bundle that is listed for it now. Pure."""
    if found.bundle is None:
        return replace(member, state=UNFIT, bundle=None, note=found.reason, wave=None, changed=now)
    return replace(member, bundle=found.bundle)


def _may_fit(member: Member, device: Device, bundles: Mapping[str, str]) -> bool:
    """Return whether a device without a bundle may have got one: a release, or a new birth."""
    if member.state is not UNFIT:
        return False
    born_since = device.born is not None and device.born > member.changed
    return born_since or (device.profile in bundles and member.note.startswith("no bundle"))


def _member(device: Device, found: Fit, wave: int | None, now: datetime) -> Member:
    return Member(
        device=device.name,
        profile=device.profile,
        wave=wave,
        bundle=found.bundle,
        state=UNFIT if found.bundle is None else WAITING,
        note=found.reason,
        changed=now,
    )
