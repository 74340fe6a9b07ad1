# SPDX-License-Identifier: Apache-2.0
"""Who may become a device, as what hardware, and which word of a device is the last. Pure.

What a change of state is called is in `timeline`, why a device is behind in `whynot`.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from insight_edge.documents.device import Reported
from insight_edge.documents.enrolment import EnrolmentRequest
from insight_edge.documents.facts import Facts
from insight_edge.documents.profile import HardwareProfile, mismatch
from insight_edge.documents.topics import check_name
from insight_edge.errors import DocumentError, EnrolmentError

SECRET_BYTES = 32
"""Of a token or a device's secret: too many to guess, so a plain SHA-256 of it can be stored."""

MAX_DEPLOYMENTS = 64
"""Of one device."""

MAX_REVISION = 2**53
"""A device that claims to know a higher one is not believed."""

REORDER_S = 60.0
"""Two messages of one device that are handed to two processes pass each other within this."""

NEAREST = 3
"""How many profiles a refusal explains."""

FOREIGN_ARCH = 1000
"""Weighs more than everything else that a machine may lack."""

Profiles = Mapping[str, HardwareProfile]


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """What is recorded of a token.

    Attributes:
        device: the one it was made for, or None for whoever brings it.
        used: when it made a device.
    """

    tenant: str
    device: str | None
    expires: datetime
    used: datetime | None


def hash_secret(secret: str) -> str:
    """Return how a token or secret is stored: 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def same_secret(secret: str, stored: str) -> bool:
    """Return whether a secret is the stored one, in a time that does not tell how much of it is."""
    return hmac.compare_digest(hash_secret(secret), stored)


def admit(invitation: Invitation | None, request: EnrolmentRequest, now: datetime) -> str:
    """Return the name that a request gets.

    Raises:
        EnrolmentError: the token is none, used or late, or it is for another device, or no name
            or deployment can be meant.
    """
    if invitation is None:
        raise EnrolmentError("the token is not one of this cloud", hint="ask for an invitation")
    if invitation.used is not None:
        raise EnrolmentError("the token has been used", hint="a token makes one device")
    if now >= invitation.expires:
        raise EnrolmentError(
            f"the token expired on {invitation.expires:%Y-%m-%d %H:%M} UTC",
            hint="ask for another invitation",
        )
    if None not in {invitation.device, request.device} and invitation.device != request.device:
        raise EnrolmentError("the token is for a device of another name")
    name = invitation.device or request.device
    if name is None:
        raise EnrolmentError("neither the token nor the request names the device")
    _check_names(name, request.deployments)
    return name


def match_profile(request: EnrolmentRequest, profiles: Profiles) -> str:
    """Return the id of the profile that a device is enrolled for: the one asked for, or the best.

    Raises:
        EnrolmentError: it is unknown, the facts do not match it, or they match none; the reasons
            are in the message.
    """
    if request.profile is None:
        return _best(request.facts, profiles)
    profile = profiles.get(request.profile)
    if profile is None:
        near = get_close_matches(request.profile, profiles, n=1)
        raise EnrolmentError(
            f"no hardware profile has the id '{request.profile[:63]}'",
            hint=f"did you mean '{near[0]}'?" if near else "leave it out: the cloud picks one",
        )
    reason = mismatch(profile, request.facts)
    if reason is not None:
        raise EnrolmentError(
            f"this machine is no '{profile.id}': the profile {reason}",
            hint="leave the profile out: the cloud picks one",
        )
    return profile.id


def supersedes(new: Reported, last: Reported | None, *, born_since: bool) -> bool:
    """Return whether a state is newer than the last known one, which arrived earlier.

    Order is that of arrival, since a device's clock may be set back by years. Only what was
    overtaken on the way is old: an earlier revision, or the same one said at most `REORDER_S`
    earlier by the same clock.

    Args:
        new: the state that arrived.
        last: the one kept.
        born_since: the device was born since: it may have lost what it knew.
    """
    if last is None:
        return True
    if new.revision != last.revision:
        return new.revision > last.revision or born_since
    return not 0 < last.at_s - new.at_s <= REORDER_S


def next_revision(desired: int, accepted: int) -> int:
    """Return the revision after the last, which a device may know though this cloud forgot it.

    So it is where the cloud was restored from a backup: devices refuse a lower one.
    """
    return max(desired, accepted if accepted < MAX_REVISION else 0) + 1


def is_behind(desired: int, accepted: int) -> bool:
    """Return whether a device has not accepted what it should run."""
    return accepted < desired


def _check_names(device: str, deployments: tuple[str, ...]) -> None:
    if not 1 <= len(set(deployments)) == len(deployments) <= MAX_DEPLOYMENTS:
        raise EnrolmentError(f"a device has 1 to {MAX_DEPLOYMENTS} deployments of unlike names")
    try:
        check_name("device", device)
        for deployment in deployments:
            check_name("deployment", deployment)
    except DocumentError as error:
        raise EnrolmentError(str(error), hint=error.hint) from error


def _best(facts: Facts, profiles: Profiles) -> str:
    """Return the most demanding of the profiles that match."""
    matching = [p for p in profiles.values() if mismatch(p, facts) is None]
    if matching:
        return max(matching, key=lambda profile: (_demands(profile, facts), profile.id)).id
    nearest = sorted(profiles.values(), key=lambda profile: (_lacks(profile, facts), profile.id))
    reasons = "; ".join(f"{p.id} {mismatch(p, facts)}" for p in nearest[:NEAREST])
    raise EnrolmentError(
        f"this machine matches no hardware profile: {reasons or 'there is none'}",
        hint="write one for it: insight-edge profiles detect",
    )


def _demands(profile: HardwareProfile, facts: Facts) -> tuple[int, ...]:
    return (
        int(profile.cpu.model.value == facts.cpu_model),
        len(profile.accelerators),
        len(profile.cpu.isa.value),
        profile.cpu.cores.value,
        profile.dram.length_bytes.value,
    )


def _lacks(profile: HardwareProfile, facts: Facts) -> int:
    """Return how far a machine is from a profile, in requirements that it does not meet."""
    cpu = profile.cpu
    models = [accelerator.model.value for accelerator in profile.accelerators]
    return (
        FOREIGN_ARCH * (cpu.arch != facts.arch)
        + sum(name not in facts.isa for name in cpu.isa.value)
        + sum(model not in facts.accelerators for model in models)
        + (facts.cores < cpu.cores.value)
        + (facts.memory_bytes < profile.dram.length_bytes.value)
    )
