# SPDX-License-Identifier: Apache-2.0
"""Which devices run a model, with which bundles, on which hardware."""

from collections.abc import Iterator
from dataclasses import dataclass

from insight_cloud.devices.device import Device
from insight_cloud.devices.service import Devices
from insight_cloud.releases.service import Releases

PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """Where a model runs.

    Attributes:
        bundles: digests, of whichever versions.
        profiles: of the devices, sorted.
        versions: the numbers, with how many devices should run each.
    """

    devices: int
    bundles: frozenset[str]
    profiles: tuple[str, ...]
    versions: dict[int, int]


def deployed(
    devices: Devices, releases: Releases, model: str, deployment: str, *, tenant: str
) -> Deployed:
    """Return where a model should run under the name of a deployment."""
    versions_by_bundle = {one.bundle: one.version for one in releases.releases(model)}
    bundles: set[str] = set()
    profiles: set[str] = set()
    versions: dict[int, int] = {}
    count = 0
    for device in _all(devices, tenant):
        desired = devices.desired(device.name, tenant=tenant)
        wanted = None if desired is None else desired.deployments.get(deployment)
        if wanted is None or wanted.bundle not in versions_by_bundle:
            continue
        version = versions_by_bundle[wanted.bundle]
        versions[version] = versions.get(version, 0) + 1
        bundles.add(wanted.bundle)
        profiles.add(device.profile)
        count += 1
    return Deployed(
        devices=count,
        bundles=frozenset(bundles),
        profiles=tuple(sorted(profiles)),
        versions=versions,
    )


def _all(devices: Devices, tenant: str) -> Iterator[Device]:
    after: str | None = None
    while True:
        page = devices.devices(after=after, limit=PAGE, tenant=tenant)
        yield from page.devices
        after = page.after
        if after is None:
            return
