# SPDX-License-Identifier: Apache-2.0
"""What operators ask of devices, models, releases, telemetry and labels, put together."""

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI

from insight_cloud.devices.api import router as devices_router
from insight_cloud.installation import Installation
from insight_cloud.labels.api import router as labels_router
from insight_cloud.platform.errors import ConflictError
from insight_cloud.registry.api import router as registry_router
from insight_cloud.releases.api import router as releases_router
from insight_cloud.releases.rules import State
from insight_cloud.telemetry.api import router as telemetry_router


def add_operators_routes(app: FastAPI, cloud: Installation, clock: Callable[[], datetime]) -> None:
    """Let an app answer operators."""

    def check_bundle(bundle: str) -> None:
        found = cloud.releases.release(bundle)
        if found.state is not State.LISTED:
            raise ConflictError(f"{bundle} is {found.state.value}: no device would install it")

    def why_not(device: str, deployment: str, tenant: str) -> str | None:
        return cloud.rollouts.why_not(device, deployment, tenant=tenant)

    for router in (
        devices_router(cloud.devices, clock, why_not=why_not, check_bundle=check_bundle),
        registry_router(cloud.registry, clock),
        releases_router(cloud.releases, clock),
        telemetry_router(cloud.telemetry, clock),
        labels_router(cloud.labels, clock),
    ):
        app.include_router(router)
