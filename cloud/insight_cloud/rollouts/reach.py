# SPDX-License-Identifier: Apache-2.0
"""What a rollout reaches for in the rooms below: devices, bundles, profiles. It decides nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from insight_cloud.devices.device import Device
from insight_cloud.devices.selection import Selection, selected
from insight_cloud.devices.service import Devices
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.releases.rules import State
from insight_cloud.releases.service import Releases
from insight_cloud.rollouts.fitting import Fit, fit, listed_bundles
from insight_cloud.telemetry.service import Telemetry
from insight_edge.documents.desired import Assignment
from insight_edge.documents.profile import HardwareProfile

Profiles = Callable[[], Mapping[str, HardwareProfile]]


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The services below, and the hardware profiles there are when they are asked for."""

    database: Database
    devices: Devices
    releases: Releases
    telemetry: Telemetry
    profiles: Profiles

    def selected(self, chosen: Selection, deployment: str, tenant: str) -> dict[str, Device]:
        """Return the devices of the fleet that have a deployment and are meant, by name.

        Raises:
            NotFoundError: there is no device of a name.
        """
        found = selected(self.devices, chosen, tenant)
        return {one.name: one for one in found if deployment in one.deployments}

    def bundles(self, model: str, version: int) -> dict[str, str]:
        """Return the listed bundles of a model version by profile."""
        return listed_bundles(self.releases.releases(model), version)

    def is_listed(self, bundle: str) -> bool:
        """Return whether devices may install a bundle."""
        try:
            return self.releases.release(bundle).state is State.LISTED
        except NotFoundError:
            return False

    def fitting(self, model: str, version: int) -> "Fitting":
        """Return what finds the bundles of a model version for devices."""
        return Fitting(self, f"{model}:{version}", self.bundles(model, version))

    def assigned(self, device: str, deployment: str, tenant: str) -> tuple[Assignment | None, str]:
        """Return what a deployment should run, and who says so; no rollout is of its challenger."""
        state = self.devices.desired(device, tenant=tenant)
        if state is None:
            return None, ""
        found = state.deployments.get(deployment)
        return found and msgspec.structs.replace(found, challenger=None), state.by


class Fitting:
    """Finds bundles for devices; profiles are read when the first is asked for.

    Attributes:
        bundles: listed ones by profile.
    """

    def __init__(self, reach: Reach, label: str, bundles: Mapping[str, str]) -> None:
        self.bundles = bundles
        self._reach = reach
        self._label = label
        self._profiles: Mapping[str, HardwareProfile] | None = None

    def of(self, device: Device) -> Fit:
        """Return the bundle for a device, or why there is none."""
        if self._profiles is None:
            self._profiles = self._reach.profiles()
        facts = self._reach.devices.facts(device.name, tenant=device.tenant)
        return fit(
            self._label, device.profile, facts, bundles=self.bundles, profiles=self._profiles
        )
