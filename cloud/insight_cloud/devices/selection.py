# SPDX-License-Identifier: Apache-2.0
"""Which devices of a fleet are meant, as people say it: by name, by a part of it, by profile."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from insight_cloud.devices.device import Device, Query
from insight_cloud.devices.looking import MAX_PAGE
from insight_cloud.devices.service import Devices
from insight_edge.errors import ConfigurationError

ALL = "all"
GROUPS = ("profile", "text")
SPELLING = "NAME (as often as needed), profile:ID, text:PART of names, or all"
"""How devices are meant in words."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which devices are meant: those that all of it allows.

    Attributes:
        devices: just these; None for all that the rest allows, later ones too.
        text: part of their names.
        profile: theirs.
    """

    devices: tuple[str, ...] | None = None
    text: str | None = None
    profile: str | None = None


def spelled(words: Iterable[str]) -> Selection:
    """Return the devices that words mean: names, or `profile:ID`, `text:PART`, `all`.

    Raises:
        ConfigurationError: a word means nothing, or they contradict each other.
    """
    names: list[str] = []
    groups: dict[str, str] = {}
    for word in words:
        kind, colon, value = word.partition(":")
        if colon and (kind not in GROUPS or not value or kind in groups):
            raise ConfigurationError(f"'{word[:80]}' means no devices", hint=SPELLING)
        if colon or word == ALL:
            groups[kind] = value
        else:
            names.append(word)
    if bool(names) == bool(groups) or (ALL in groups and len(groups) > 1):
        raise ConfigurationError("which devices: some by name, or one group", hint=SPELLING)
    return Selection(
        devices=tuple(names) or None, text=groups.get("text"), profile=groups.get("profile")
    )


def selected(devices: Devices, chosen: Selection, tenant: str) -> Iterator[Device]:
    """Yield the devices that are meant and have not left the fleet.

    Raises:
        NotFoundError: there is no device of a name.
    """
    found = (
        _named(devices, chosen.devices, tenant) if chosen.devices else _all(devices, chosen, tenant)
    )
    for one in found:
        if (
            one.retired is None
            and chosen.profile in {None, one.profile}
            and (chosen.text or "") in one.name
        ):
            yield one


def _named(devices: Devices, names: tuple[str, ...], tenant: str) -> Iterator[Device]:
    for name in dict.fromkeys(names):
        yield devices.device(name, tenant=tenant)


def _all(devices: Devices, chosen: Selection, tenant: str) -> Iterator[Device]:
    query, after = Query(text=chosen.text, profile=chosen.profile), None
    while True:
        page = devices.devices(query, after=after, limit=MAX_PAGE, tenant=tenant)
        yield from page.devices
        after = page.after
        if after is None:
            return
