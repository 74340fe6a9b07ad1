# SPDX-License-Identifier: Apache-2.0
"""Which device is in which wave: the same for the same rollout, spread over profiles. Pure."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from insight_cloud.rollouts.plan import Plan, size_of


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A device that can take the bundle.

    Attributes:
        online: it can be asked now, so it makes a better canary than one that is away.
    """

    name: str
    profile: str
    online: bool


def allot(rollout: str, candidates: Iterable[Candidate], plan: Plan) -> Mapping[str, int]:
    """Return the wave of each device, counted from 0; no wave is empty.

    Args:
        rollout: what names it; another one has other canaries.
        candidates: all devices.
        plan: sizes of the waves.
    """
    order = ranked(rollout, candidates)
    ends: list[int] = []
    for size in (plan.canary, *plan.waves) if order else ():
        end = size_of(size, len(order))
        if not ends or end > ends[-1]:
            ends.append(end)
    return {name: sum(end <= place for end in ends) for place, name in enumerate(order)}


def ranked(rollout: str, candidates: Iterable[Candidate]) -> tuple[str, ...]:
    """Return the devices in the order of their turn.

    First comes one of each profile, then each profile by its share, so that every beginning of
    the order has as many profiles as it can and is like the fleet otherwise.
    """
    profiles: defaultdict[str, list[Candidate]] = defaultdict(list)
    for one in candidates:
        profiles[one.profile].append(one)
    keys: list[tuple[bool, float, str, str]] = []
    for members in profiles.values():
        members.sort(key=lambda one: (not one.online, _drawn(rollout, one.name)))
        for rank, one in enumerate(members):
            share = rank / len(members)
            keys.append((rank > 0, share, _drawn(rollout, one.name), one.name))
    # Of the first of each profile those that are online go before the others.
    online = {one.name: one.online for members in profiles.values() for one in members}
    keys.sort(key=lambda key: (key[0], not key[0] and not online[key[3]], *key[1:]))
    return tuple(name for *_, name in keys)


def _drawn(rollout: str, name: str) -> str:
    return hashlib.sha256(f"{rollout}\n{name}".encode()).hexdigest()
