# SPDX-License-Identifier: Apache-2.0
"""Pipelines: runs from drift to a retrained fleet, one run as it goes, live; and builds."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from insight_cloud.console.desk import Desk
from insight_cloud.console.forms import Filled
from insight_cloud.console.navigation import Crumb
from insight_cloud.console.pages.rollouts import still_signed_in
from insight_cloud.console.pipeline_view import facts_of, step_lines
from insight_cloud.console.shell import go_to
from insight_cloud.console.who import Operator, Viewer


def pipelines_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()
    pipelines, shell = desk.cloud.pipelines, desk.shell

    @router.get("/pipelines")
    def runs(request: Request, actor: Viewer) -> Response:
        return shell.page(
            request, actor, "pipelines.html", section="pipelines", title="Pipelines",
            runs=pipelines.runs(tenant=actor.tenant), models=desk.cloud.registry.models(),
            policies=pipelines.policies(tenant=actor.tenant),
        )  # fmt: skip

    @router.post("/pipelines")
    def start(form: Filled, actor: Operator) -> Response:
        model = form.needed("model", "the model")
        because = form.text("because") or f"{actor.name} wants it"
        run = pipelines.open(
            model, because=because, by=actor.name, now=shell.now(), tenant=actor.tenant
        )
        return go_to(f"/pipelines/{run.id}", f"Run {run.number} of {model} waits for a worker.")

    @router.get("/pipelines/{run}")
    def run_page(run: str, request: Request, actor: Viewer) -> Response:
        view = _view(desk, run, actor.tenant)
        found = pipelines.run(run, tenant=actor.tenant)
        return shell.page(
            request, actor, "run.html", section="pipelines",
            title=f"Run {found.number} of {found.model}",
            crumbs=[Crumb("Pipelines", "/pipelines")], **view,
        )  # fmt: skip

    @router.get("/pipelines/{run}/live")
    async def live(run: str, request: Request, actor: Viewer) -> Response:
        fragments = partial(_fragments, desk, run, actor)
        return desk.streams.answer(request, fragments, still_signed_in(desk, request))

    @router.post("/pipelines/{run}/cancel")
    def cancel(run: str, actor: Operator) -> Response:
        pipelines.cancel(run, by=actor.name, now=shell.now(), tenant=actor.tenant)
        return go_to(f"/pipelines/{run}", "It ends as soon as its step allows.")

    @router.get("/builds")
    def builds(request: Request, actor: Viewer) -> Response:
        model = request.query_params.get("model", "")[:63] or None
        return shell.page(
            request, actor, "builds.html", section="builds", title="Builds",
            builds=desk.cloud.builds.builds(model, limit=200, tenant=actor.tenant),
            published={one.bundle for one in desk.cloud.releases.releases()},
        )  # fmt: skip

    return router


def _fragments(desk: Desk, run: str, actor: Viewer) -> dict[str, str]:
    view = _view(desk, run, actor.tenant)
    return {"#run": desk.shell.fragment("run_live.html", actor, **view)}


def _view(desk: Desk, run: str, tenant: str) -> dict[str, Any]:
    found = desk.cloud.pipelines.run(run, tenant=tenant)
    return {"run": found, "steps": step_lines(found), "facts": facts_of(found)}
