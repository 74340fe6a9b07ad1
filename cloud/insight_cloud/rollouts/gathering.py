# SPDX-License-Identifier: Apache-2.0
"""Read the evidence of a rollout from what devices said and counted.

Counts are of whole hours: with the new bundle from the hour in which a device was
asked, with the old one for some time up to that hour, on the same devices.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import itemgetter
from typing import NamedTuple

from insight_cloud.devices.device import Device
from insight_cloud.rollouts.counting import Sum, merged
from insight_cloud.rollouts.evidence import Evidence, Group, Turnout
from insight_cloud.rollouts.gates import LEAST_BASELINE
from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.reach import Reach
from insight_cloud.rollouts.rollout import TAKING, Member, MemberState, Rollout
from insight_cloud.telemetry.rollups import Slot
from insight_cloud.telemetry.rules import hour_of
from insight_cloud.telemetry.totals import Totals

AHEAD = timedelta(minutes=10)
"""More than a device's clock is believed to be ahead."""


class Asked(NamedTuple):
    """A device that was asked, as far as its evidence goes."""

    member: Member
    bundle: str
    wave: int
    at: datetime


def gather(
    reach: Reach,
    rollout: Rollout,
    members: Sequence[Member],
    devices: Mapping[str, Device],
    now: datetime,
) -> Evidence:
    """Return all evidence there is."""
    asked = [
        Asked(one, one.bundle, one.wave, one.asked)
        for one in members
        if one.state in TAKING and one.bundle and one.wave is not None and one.asked is not None
    ]
    new, old = _sums(reach, rollout, asked, now)
    bundles = reach.bundles(rollout.model, rollout.version)
    missing = {
        one.bundle
        for one in members
        if one.state is MemberState.WAITING and one.bundle and one.profile not in bundles
    }
    return Evidence(
        groups=_groups(asked, devices, new, old, rollout.plan),
        turnouts=tuple(_turnouts(reach, rollout, asked)),
        unlisted=tuple(sorted(missing)),
    )


def _groups(
    asked: Iterable[Asked],
    devices: Mapping[str, Device],
    new: Mapping[str, Sum],
    old: Mapping[str, Sum],
    plan: Plan,
) -> tuple[Group, ...]:
    parts: defaultdict[tuple[int, str], list[Member]] = defaultdict(list)
    for one in asked:
        parts[one.wave, one.member.profile].append(one.member)
    found = []
    for (wave, profile), members in sorted(parts.items(), key=itemgetter(0)):
        took = _taken(wave, profile, members, devices)
        names = [one.device for one in members]
        found.append(_counted(took, merged(new, names), merged(old, names), plan))
    return tuple(found)


def _taken(
    wave: int, profile: str, members: Sequence[Member], devices: Mapping[str, Device]
) -> Group:
    open_ones = [one.device for one in members if one.state is MemberState.ASKED]
    return Group(
        wave=wave,
        profile=profile,
        members=len(members),
        absent=sum(name not in devices or not devices[name].online for name in open_ones),
        commits=tuple(sorted(m.committed for m in members if m.committed is not None)),
        failures=tuple(
            f"{one.device} {one.note}" for one in members if one.state is MemberState.FAILED
        ),
    )


def _counted(group: Group, new: Sum, old: Sum, plan: Plan) -> Group:
    before, allowed_ms = old.calls(), None
    if before.p99_ms is not None and before.timed >= LEAST_BASELINE:
        allowed_ms = before.p99_ms * plan.p99_factor + plan.p99_slack_ms
    slow = 0 if allowed_ms is None else new.slower_than(allowed_ms)
    return replace(group, new=new.calls(), old=before, slow=slow, allowed_ms=allowed_ms)


def _sums(
    reach: Reach, rollout: Rollout, asked: Sequence[Asked], now: datetime
) -> tuple[dict[str, Sum], dict[str, Sum]]:
    """Return what each device counted with the new bundle, and with the one before."""
    new: defaultdict[str, Sum] = defaultdict(Sum)
    old: defaultdict[str, Sum] = defaultdict(Sum)
    baseline = timedelta(seconds=rollout.plan.baseline_s)
    for bundle, several in _by(asked, lambda one: one.bundle).items():
        for slot, totals in _totals(reach, rollout, bundle, several, timedelta(), now).items():
            if slot.hour >= _hour(several[slot.device]):
                new[slot.device].add(totals)
    for bundle, several in _by(asked, _before).items():
        for slot, totals in _totals(reach, rollout, bundle, several, baseline, now).items():
            if slot.hour <= _hour(several[slot.device]):
                old[slot.device].add(totals)
    return new, old


def _totals(
    reach: Reach,
    rollout: Rollout,
    bundle: str,
    asked: Mapping[str, Asked],
    back: timedelta,
    now: datetime,
) -> dict[Slot, Totals]:
    """Return what some devices counted with a bundle; of one device, nothing else is read."""
    found = reach.telemetry.totals(
        since=min(one.at for one in asked.values()) - back,
        until=now + AHEAD,
        bundle=bundle,
        device=next(iter(asked)) if len(asked) == 1 else None,
        deployment=rollout.deployment,
        tenant=rollout.tenant,
    )
    return {slot: totals for slot, totals in found.items() if slot.device in asked}


def _turnouts(reach: Reach, rollout: Rollout, asked: Sequence[Asked]) -> Iterable[Turnout]:
    """Yield how results turned out, on all devices that run a bundle: outcomes are rare."""
    back = timedelta(seconds=rollout.plan.baseline_s)
    for profile in sorted({one.member.profile for one in asked}):
        several = [one for one in asked if one.member.profile == profile]
        since = min(one.at for one in several)
        new = _judged(reach, rollout, {one.bundle for one in several}, since)
        before = {_before(one) for one in several} - {None}
        old = _judged(reach, rollout, {b for b in before if b}, since - back)
        if new[0] or old[0]:
            yield Turnout(
                profile=profile,
                new_judged=new[0],
                new_wrong=new[1],
                old_judged=old[0],
                old_wrong=old[1],
            )


def _judged(
    reach: Reach, rollout: Rollout, bundles: Iterable[str], since: datetime
) -> tuple[int, int]:
    """Return how many results are known to be right or wrong, and how many are wrong."""
    judged = correct = 0
    for bundle in sorted(bundles):
        for hour in reach.telemetry.joined(bundle, since, tenant=rollout.tenant):
            judged, correct = judged + hour.judged, correct + hour.correct
    return judged, judged - correct


def _by(asked: Iterable[Asked], key: Callable[[Asked], str | None]) -> dict[str, dict[str, Asked]]:
    """Return devices by name, by a bundle of theirs."""
    found: defaultdict[str, dict[str, Asked]] = defaultdict(dict)
    for one in asked:
        bundle = key(one)
        if bundle is not None:
            found[bundle][one.member.device] = one
    return found


def _before(one: Asked) -> str | None:
    before = one.member.before
    return None if before is None or before.bundle == one.bundle else before.bundle


def _hour(one: Asked) -> int:
    return hour_of(one.at.timestamp())
