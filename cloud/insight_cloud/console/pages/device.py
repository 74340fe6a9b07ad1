# SPDX-License-Identifier: Apache-2.0
"""One device: its facts, deployments, windows, timeline, and what can be done with it."""

from typing import Any

from fastapi import APIRouter, Request, Response

from insight_cloud.accounts.door import Actor
from insight_cloud.console.challenge_view import challenge_lines
from insight_cloud.console.desk import Desk, label_of
from insight_cloud.console.fleet_view import swap_figures
from insight_cloud.console.forms import Filled
from insight_cloud.console.job_view import member_tag
from insight_cloud.console.navigation import Crumb
from insight_cloud.console.pages.fleet import line_of
from insight_cloud.console.shell import go_to
from insight_cloud.console.telemetry_view import window_chart
from insight_cloud.console.who import Operator, Viewer
from insight_cloud.platform.errors import ConflictError
from insight_cloud.releases.rules import Release, State
from insight_edge.documents.desired import Challenging

WINDOWS = 48
EVENTS = 60
JOBS = 10


def device_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()
    devices = desk.cloud.devices

    @router.get("/devices/{device}")
    def device_page(device: str, request: Request, actor: Viewer) -> Response:
        return desk.shell.page(
            request,
            actor,
            "device.html",
            section="fleet",
            title=device,
            crumbs=[Crumb("Fleet", "/devices")],
            **_view(desk, device, actor.tenant),
        )

    @router.post("/devices/{device}/assign")
    def assign(device: str, form: Filled, actor: Operator) -> Response:
        deployment = form.needed("deployment", "the deployment")
        release = _assignable(desk, device, form.needed("bundle", "the bundle"), actor)
        revision = devices.set_desired(
            device,
            deployment,
            release.bundle,
            by=actor.name,
            now=desk.shell.now(),
            tenant=actor.tenant,
        )
        return go_to(
            f"/devices/{device}", f"Revision {revision} says so: {label_of(release)}, {deployment}."
        )

    @router.post("/devices/{device}/challenge")
    def challenge(device: str, form: Filled, actor: Operator) -> Response:
        deployment = form.needed("deployment", "the deployment")
        bundle = form.text("bundle")
        wanted = (
            None
            if not bundle
            else Challenging(bundle=_assignable(desk, device, bundle, actor).bundle)
        )
        revision = devices.set_challenger(
            device, deployment, wanted, by=actor.name, now=desk.shell.now(), tenant=actor.tenant
        )
        what = "nothing" if wanted is None else wanted.bundle[:19]
        return go_to(
            f"/devices/{device}", f"Revision {revision} says so: {deployment} compares {what}."
        )

    @router.post("/devices/{device}/renew")
    def renew(device: str, actor: Operator) -> Response:
        devices.renew_desired(device, by=actor.name, now=desk.shell.now(), tenant=actor.tenant)
        return go_to(f"/devices/{device}", "The device is told again and tries again.")

    @router.post("/devices/{device}/retire")
    def retire(device: str, form: Filled, actor: Operator) -> Response:
        if form.text("confirm") != device:
            raise ConflictError("the name typed is not the device's; nothing was done")
        devices.retire_device(device, by=actor.name, now=desk.shell.now(), tenant=actor.tenant)
        return go_to(f"/devices/{device}", "The device has left the fleet.")

    return router


def _assignable(desk: Desk, device: str, bundle: str, actor: Actor) -> Release:
    """Return the release of a bundle that the device may install."""
    release = desk.cloud.releases.release(bundle)
    known = desk.cloud.devices.device(device, tenant=actor.tenant)
    if release.state is not State.LISTED or release.profile != known.profile:
        raise ConflictError(
            f"{label_of(release)} is {release.state} for {release.profile}",
            hint=f"choose one that is listed for {known.profile}",
        )
    return release


def _view(desk: Desk, name: str, tenant: str) -> dict[str, Any]:
    cloud, labels = desk.cloud, desk.labels()
    device = cloud.devices.device(name, tenant=tenant)
    line = line_of(desk, device, labels)
    reports = []
    for one in line.deployments:
        windows = cloud.telemetry.windows(name, one.name, limit=WINDOWS, tenant=tenant)
        reports.append((one.name, windows, window_chart(windows)))
    listed = [one for one in cloud.releases.releases() if one.state is State.LISTED]
    return {
        "device": device,
        "line": line,
        "labels": labels,
        "facts": cloud.devices.facts(name, tenant=tenant),
        "reported": cloud.devices.reported(name, tenant=tenant),
        "desired": cloud.devices.desired(name, tenant=tenant),
        "swaps": {one.name: swap_figures(one.state) for one in line.deployments},
        "reports": reports,
        "challenges": challenge_lines(cloud.telemetry.challenged(device=name, tenant=tenant)),
        "events": cloud.devices.timeline(name, limit=EVENTS, tenant=tenant),
        "jobs": [
            (job, member, member_tag(member))
            for job, member in cloud.jobs.of_device(name, limit=JOBS, tenant=tenant)
        ],
        "quarantined": cloud.telemetry.quarantined(device=name, limit=5, tenant=tenant),
        "assignable": [one for one in listed if one.profile == device.profile],
    }
