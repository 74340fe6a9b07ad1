# SPDX-License-Identifier: Apache-2.0
"""Jobs: all of them, one as it goes, live, with what its devices measured; and asking for one."""

from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request, Response

from insight_cloud.console.desk import Desk, label_of
from insight_cloud.console.forms import Filled, Form
from insight_cloud.console.job_view import (
    measured_chart,
    member_tag,
    result_lines,
    spread_text,
    terms_text,
)
from insight_cloud.console.navigation import Crumb
from insight_cloud.console.pages.rollouts import still_signed_in
from insight_cloud.console.shell import go_to
from insight_cloud.console.who import Operator, Viewer
from insight_cloud.devices.selection import Selection
from insight_cloud.jobs.job import Terms
from insight_cloud.jobs.measurements import spreads
from insight_cloud.jobs.rules import AT_MOST
from insight_cloud.releases.rules import State


def jobs_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()
    jobs, shell = desk.cloud.jobs, desk.shell

    @router.get("/jobs")
    def all_jobs(request: Request, actor: Viewer) -> Response:
        listed = [one for one in desk.cloud.releases.releases() if one.state is State.LISTED]
        return shell.page(
            request, actor, "jobs.html", section="jobs", title="Jobs",
            jobs=jobs.list(tenant=actor.tenant), terms=Terms(), at_most=AT_MOST,
            measurable=[(one.bundle, f"{label_of(one)} for {one.profile}") for one in listed],
        )  # fmt: skip

    @router.post("/jobs")
    def bench(form: Filled, actor: Operator) -> Response:
        bundle = form.needed("bundle", "the bundle")
        profile = desk.cloud.releases.release(bundle).profile
        made = jobs.bench(
            bundle,
            by=actor.name,
            now=shell.now(),
            selection=Selection(text=form.text("text"), profile=profile),
            terms=_terms(form),
            tenant=actor.tenant,
        )
        return go_to(f"/jobs/{made.id}", "Devices are told at the worker's next turn.")

    @router.get("/jobs/{job}")
    def job_page(job: str, request: Request, actor: Viewer) -> Response:
        view = _view(desk, job, actor.tenant)
        found = view["job"]
        return shell.page(
            request, actor, "job.html", section="jobs",
            title=f"{found.label} for {found.profile}, measured", crumbs=[Crumb("Jobs", "/jobs")],
            **view,
        )  # fmt: skip

    @router.get("/jobs/{job}/live")
    async def live(job: str, request: Request, actor: Viewer) -> Response:
        fragments = partial(_fragments, desk, job, actor)
        return desk.streams.answer(request, fragments, still_signed_in(desk, request))

    @router.post("/jobs/{job}/withdraw")
    def withdraw(job: str, form: Filled, actor: Operator) -> Response:
        jobs.withdraw(
            job,
            by=actor.name,
            now=shell.now(),
            reason=form.text("reason") or "",
            tenant=actor.tenant,
        )
        return go_to(f"/jobs/{job}", "It is taken back; devices that were told are told to stop.")

    return router


def _terms(form: Form) -> Terms:
    when: Literal["idle", "now"] = "now" if form.text("when") == "now" else "idle"
    return Terms(
        rounds=form.number("rounds", "the number of rounds"),
        limit_s=60.0 * form.number("limit_min", "the minutes on a device"),
        devices=form.number("devices", "the number of devices"),
        when=when,
    )


def _fragments(desk: Desk, job: str, actor: Viewer) -> dict[str, str]:
    view = _view(desk, job, actor.tenant)
    return {"#job": desk.shell.fragment("job_live.html", actor, **view)}


def _view(desk: Desk, id_: str, tenant: str) -> dict[str, Any]:
    jobs = desk.cloud.jobs
    job = jobs.get(id_, tenant=tenant)
    results = jobs.figures(id_, tenant=tenant)
    return {
        "job": job,
        "members": [(one, member_tag(one)) for one in jobs.members(id_, tenant=tenant)],
        "results": result_lines(results),
        "chart": measured_chart(results),
        "spreads": [(one, spread_text(one)) for one in spreads(results)],
        "terms": terms_text(job),
    }
