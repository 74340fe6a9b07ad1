# SPDX-License-Identifier: Apache-2.0
"""Home: what needs somebody's attention, most urgent first."""

from fastapi import APIRouter, Request, Response

from insight_cloud.accounts.audit import Entry
from insight_cloud.accounts.door import Role
from insight_cloud.console.desk import Desk
from insight_cloud.console.home_view import Waiting, attention
from insight_cloud.console.who import Viewer
from insight_cloud.devices.device import Query
from insight_cloud.releases.rules import State

SHOWN = 8


def home_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()

    @router.get("/")
    def home(request: Request, actor: Viewer) -> Response:
        waiting = _waiting(desk, actor.tenant)
        return desk.shell.page(
            request,
            actor,
            "home.html",
            section="home",
            title="Home",
            items=attention(waiting),
            waiting=waiting,
            rollouts=desk.cloud.rollouts.list(active=True, limit=SHOWN, tenant=actor.tenant),
            runs=desk.cloud.pipelines.runs(active=True, limit=SHOWN, tenant=actor.tenant),
            changes=_changes(desk, actor),
        )

    return router


def _changes(desk: Desk, actor: Viewer) -> tuple[Entry, ...]:
    """Return what was changed last, for those who may see the audit."""
    if not actor.role.allows(Role.OPERATOR):
        return ()
    return desk.cloud.accounts.audit(limit=SHOWN, tenant=actor.tenant)


def _waiting(desk: Desk, tenant: str) -> Waiting:
    cloud = desk.cloud

    def count(query: Query) -> int:
        return cloud.devices.devices(query, limit=1, tenant=tenant).total

    releases = cloud.releases.releases()
    return Waiting(
        devices=count(Query()),
        online=count(Query(online=True)),
        behind=count(Query(behind=True)),
        held=count(Query(held=True)),
        alarms=cloud.monitoring.alarms(is_open=True, tenant=tenant),
        rollouts=cloud.rollouts.list(active=True, tenant=tenant),
        runs=cloud.pipelines.runs(active=True, tenant=tenant),
        labels=cloud.labels.models(tenant=tenant),
        pending=tuple(one for one in releases if one.state is State.PENDING),
        profiles={one.bundle: one.profile for one in releases},
        quarantined=len(cloud.telemetry.quarantined(limit=100, tenant=tenant)),
    )
