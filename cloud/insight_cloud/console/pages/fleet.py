# SPDX-License-Identifier: Apache-2.0
"""The fleet: devices in a table, searched and filtered, a page at a time."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from insight_cloud.builds.profiles import known_profiles
from insight_cloud.console.desk import Desk
from insight_cloud.console.fleet_view import (
    Asked,
    DeploymentLine,
    DeviceLine,
    asked_of,
    presence_of,
    update_of,
)
from insight_cloud.console.shell import is_partial
from insight_cloud.console.who import Viewer
from insight_cloud.devices.device import Device, Query
from insight_edge.documents.device import DeploymentState

PAGE = 50
FIGURES = (
    ("Devices", Query(), "", ""),
    ("Online", Query(online=True), "online=yes", "good"),
    ("Offline", Query(online=False), "online=no", "warn"),
    ("Behind", Query(behind=True), "behind=yes", "warn"),
    ("Held", Query(held=True), "held=yes", "warn"),
)


def fleet_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()

    @router.get("/devices")
    def fleet(request: Request, actor: Viewer) -> Response:
        asked = asked_of(request.query_params)
        view = _view(desk, asked, tenant=actor.tenant)
        if is_partial(request):
            text = desk.shell.fragment("fleet_rows.html", actor, **view)
            return HTMLResponse(text, headers={"Vary": "HX-Request"})
        figures = _figures(desk, actor.tenant)
        profiles = sorted(known_profiles(desk.cloud.settings.profiles_path))
        return desk.shell.page(
            request,
            actor,
            "fleet.html",
            section="fleet",
            title="Fleet",
            figures=figures,
            profiles=profiles,
            **view,
        )

    return router


def line_of(desk: Desk, device: Device, labels: Mapping[str, str]) -> DeviceLine:
    """Return a device with its deployments and why they are not updated."""
    cloud = desk.cloud
    reported = cloud.devices.reported(device.name, tenant=device.tenant)
    states = {} if reported is None else dict(reported.deployments)
    lines = []
    for name in sorted({*device.deployments, *states}):
        state = states.get(name, DeploymentState())
        why = cloud.rollouts.why_not(device.name, name, tenant=device.tenant)
        lines.append(
            DeploymentLine(
                name=name,
                serving=state.serving,
                label=None if state.serving is None else labels.get(state.serving),
                tag=update_of(state, why, assigned=device.desired > 0),
                why=why,
                state=state,
            )
        )
    return DeviceLine(device=device, tag=presence_of(device), deployments=tuple(lines))


def _view(desk: Desk, asked: Asked, *, tenant: str) -> dict[str, Any]:
    page = desk.cloud.devices.devices(asked.query(), after=asked.after, limit=PAGE, tenant=tenant)
    labels = desk.labels()
    return {
        "asked": asked,
        "page": page,
        "lines": [line_of(desk, device, labels) for device in page.devices],
        "invite": "insight-cloud device invite NAME",
    }


def _figures(desk: Desk, tenant: str) -> list[tuple[str, int, str, str]]:
    found = []
    for name, query, chosen, kind in FIGURES:
        total = desk.cloud.devices.devices(query, limit=1, tenant=tenant).total
        found.append((name, total, f"/devices?{chosen}", kind if total else ""))
    return found
