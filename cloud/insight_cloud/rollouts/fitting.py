# SPDX-License-Identifier: Apache-2.0
"""Which bundle of a model version is for a device, or why none is. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from insight_cloud.releases.rules import Release, State
from insight_edge.documents.facts import Facts
from insight_edge.documents.profile import HardwareProfile, mismatch


class Fit(NamedTuple):
    """One of the two.

    Attributes:
        bundle: digest of the manifest.
        reason: why there is none, as a clause.
    """

    bundle: str | None
    reason: str = ""


def listed_bundles(releases: Iterable[Release], version: int) -> dict[str, str]:
    """Return the newest listed bundle of a version for each profile.

    Args:
        releases: of its model, the newest first.
        version: of the model.
    """
    found: dict[str, str] = {}
    for one in releases:
        if one.version == version and one.state is State.LISTED:
            found.setdefault(one.profile, one.bundle)
    return found


def fit(
    label: str,
    profile: str,
    facts: Facts,
    *,
    bundles: Mapping[str, str],
    profiles: Mapping[str, HardwareProfile],
) -> Fit:
    """Return the bundle for a device.

    Args:
        label: of the model version, for the reason.
        profile: that the device was enrolled for.
        facts: that it told at its last birth.
        bundles: listed ones of the version, by profile.
        profiles: those this installation knows, by id.
    """
    bundle = bundles.get(profile)
    if bundle is None:
        return Fit(None, f"no bundle of {label} for {profile}")
    known = profiles.get(profile)
    if known is None:
        return Fit(None, f"this installation knows no profile '{profile}' any more")
    wrong = mismatch(known, facts)
    if wrong is not None:
        return Fit(None, f"its hardware has changed: the profile {profile} {wrong}")
    return Fit(bundle)
