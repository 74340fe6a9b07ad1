# SPDX-License-Identifier: Apache-2.0
"""Which devices do a job, how each stands in it, and what is said to it when. Pure.

    waiting -> told -> accepted -> done | refused | failed | expired | withdrawn

Any open state may end. What a device says itself is its last word, also where the
cloud has given it up before.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from insight_cloud.devices.device import Device
from insight_cloud.devices.timeline import one_line
from insight_cloud.jobs.job import OPEN, Job, Member, MemberState, State, Terms
from insight_edge.documents.job import Bench, JobState, scenario_fault
from insight_edge.documents.job import Job as Order
from insight_edge.errors import ConfigurationError

AT_MOST = 3
"""Devices of a group that are asked: several of a kind tell what one cannot."""

MAX_DEVICES = 100
"""Of one job."""

AGAIN = timedelta(seconds=60)
"""What a device does not tell of is said again after this."""

GRACE = timedelta(minutes=5)
"""A device that was told has so long to say what became of it, beyond what it may take."""

BOUNDS: dict[str, tuple[float, float]] = {
    "threads": (1, 1024),
    "rounds": (1, 1000),
    "iterations": (1, 1_000_000),
    "seed": (0, 2**31),
    "limit_s": (10.0, 6 * 3600.0),
    "lifetime_s": (60.0, 30 * 86_400.0),
    "devices": (1, MAX_DEVICES),
    "duration_s": (0.01, 6 * 3600.0),
}
"""The least and the most of each number of `Terms`."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of a device now.

    Attributes:
        online: a session of it is open.
        gone: it has left the fleet.
        named: what it says of the job; None where it does not name it.
    """

    online: bool
    gone: bool = False
    named: JobState | None = None


def check_terms(terms: Terms, variants: Iterable[str]) -> None:
    """Refuse terms that cannot be meant.

    Args:
        terms: of a job.
        variants: names of those that the bundle has.

    Raises:
        ConfigurationError: a number is out of bounds, the bundle has no such variant, or rows
            cannot be asked so.
    """
    for name, (least, most) in BOUNDS.items():
        value = getattr(terms, name)
        if value is not None and not least <= value <= most:
            raise ConfigurationError(f"{name} is {value}, not within {least:g} and {most:g}")
    known = sorted(variants)
    for name in terms.variants:
        if name not in known:
            raise ConfigurationError(
                f"the bundle has no variant '{name[:80]}'", hint=f"it has {', '.join(known)}"
            )
    if len(set(terms.variants)) < len(terms.variants):
        raise ConfigurationError("a variant is named twice")
    fault = scenario_fault(bench_of(terms, bundle=""))
    if fault is not None:
        raise ConfigurationError(fault)


def bench_of(terms: Terms, bundle: str) -> Bench:
    """Return how a bundle is timed, as a device is told it."""
    return Bench(
        bundle=bundle,
        variants=terms.variants,
        threads=terms.threads,
        rounds=terms.rounds,
        iterations=terms.iterations,
        seed=terms.seed,
        scenario=terms.scenario,
        streams=terms.streams,
        rate_per_s=terms.rate_per_s,
        period_ms=terms.period_ms,
        deadline_ms=terms.deadline_ms,
        duration_s=terms.duration_s,
    )


def unfit_reason(device: Device, profile: str) -> str | None:
    """Return why a device is not asked to time a bundle of a profile, as a clause."""
    if device.retired is not None:
        return f"it left the fleet on {device.retired:%Y-%m-%d}"
    if device.profile != profile:
        return f"it is of profile {device.profile}, the bundle is for {profile}"
    if device.held:
        return "its owner has stopped updates and jobs on it"
    return None


def chosen(seed: str, fit: Iterable[Device], at_most: int) -> tuple[str, ...]:
    """Return the devices that are asked: those that are there first, otherwise drawn.

    Args:
        seed: another one draws others.
        fit: devices that can do it.
        at_most: how many.
    """
    order = sorted(fit, key=lambda one: (not one.online, _drawn(seed, one.name)))
    return tuple(one.name for one in order[:at_most])


def followed(job: Job, member: Member, seen: Seen, now: datetime) -> Member:
    """Return how a device stands, by what it says of itself and by the time."""
    if member.state not in OPEN:
        return member
    if seen.gone:
        return _given_up(member, MemberState.FAILED, "it is no device of the fleet any more", now)
    return _by_word(job, member, seen, now) or _by_time(job, member, seen, now)


def is_due(job: Job, member: Member, seen: Seen, now: datetime) -> bool:
    """Return whether a device is to be told of a job, or that it is withdrawn, now."""
    if member.state not in OPEN or seen.gone or not seen.online:
        return False
    if member.said is not None and now - member.said < AGAIN:
        return False
    if job.withdrawn is not None:
        return member.told is not None
    return seen.named is None and now < job.expires


def order_for(job: Job, device: str) -> Order:
    """Return what a device is told, to be signed."""
    terms = job.terms
    return Order(
        tenant=job.tenant,
        device=device,
        id=job.id,
        expires_s=job.expires.timestamp(),
        limit_s=terms.limit_s,
        when=terms.when,
        withdrawn=job.withdrawn is not None,
        bench=bench_of(terms, job.bundle),
    )


def standing(members: Sequence[Member], withdrawn: datetime | None) -> tuple[State, str]:
    """Return the state of a job, and how far it is in one line."""
    return _state(members, withdrawn), progress(members)


def progress(members: Sequence[Member]) -> str:
    """Return how far a job is: `1 of 3 devices done, 1 measuring, 1 waiting (not connected)`."""
    done = sum(one.state is MemberState.DONE for one in members)
    others = Counter(_said_of(one) for one in members if one.state is not MemberState.DONE)
    total = "1 device" if len(members) == 1 else f"{len(members)} devices"
    parts = [f"{done} of {total} done", *(f"{count} {text}" for text, count in others.items())]
    lost = next((one for one in members if one.state not in OPEN and one.why), None)
    why = "" if lost is None else f"; {lost.device}: {lost.why}"
    return ", ".join(parts) + why


def _state(members: Sequence[Member], withdrawn: datetime | None) -> State:
    if withdrawn is not None:
        return State.WITHDRAWN
    states = {one.state for one in members}
    if states <= {MemberState.WAITING}:
        return State.WAITING
    if states & set(OPEN):
        return State.RUNNING
    return State.DONE if MemberState.DONE in states else State.FAILED


def _said_of(member: Member) -> str:
    if member.state is MemberState.ACCEPTED and member.phase != "waiting":
        return member.phase
    if member.state in OPEN and member.why:
        return f"{member.state.value} ({member.why})"
    return member.state.value


def _by_word(job: Job, member: Member, seen: Seen, now: datetime) -> Member | None:
    """Return a device as it says that it stands; None where it says nothing that counts."""
    is_over = now >= _latest(job, member)
    if seen.named is not None and member.told is not None and (seen.online or not is_over):
        return replace(
            member,
            state=MemberState.ACCEPTED,
            phase=seen.named.phase,
            why=one_line(seen.named.why),
            accepted=member.accepted or now,
        )
    return None


def _by_time(job: Job, member: Member, seen: Seen, now: datetime) -> Member:
    """Return how a device stands that says nothing of the job."""
    is_over = now >= _latest(job, member)
    if job.withdrawn is not None and (is_over or member.state is MemberState.WAITING):
        return _given_up(member, MemberState.WITHDRAWN, _SILENCE[member.state], now)
    if is_over:
        return _given_up(member, MemberState.EXPIRED, _SILENCE[member.state], now)
    if member.state is MemberState.WAITING:
        return replace(member, why="" if seen.online else "it is not connected")
    return member


def _latest(job: Job, member: Member) -> datetime:
    """Return when a device that says nothing is given up."""
    if member.state is MemberState.WAITING:
        return job.expires
    ran_s = job.terms.limit_s if member.state is MemberState.ACCEPTED else 0.0
    return job.expires + timedelta(seconds=ran_s) + GRACE


_SILENCE = {
    MemberState.WAITING: "it was not told",
    MemberState.TOLD: "it was told and did not answer",
    MemberState.ACCEPTED: "it accepted the job and did not say what came of it",
}


def _given_up(member: Member, state: MemberState, why: str, now: datetime) -> Member:
    return replace(member, state=state, phase="", why=why, ended=now)


def _drawn(seed: str, name: str) -> str:
    return hashlib.sha256(f"{seed}\n{name}".encode()).hexdigest()
