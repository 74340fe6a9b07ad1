# SPDX-License-Identifier: Apache-2.0
"""Rollouts: all of them, the form that starts one, and one as it goes, live."""

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from insight_cloud.accounts.door import SESSION_COOKIE
from insight_cloud.console.desk import Desk
from insight_cloud.console.forms import Filled, Form, whole
from insight_cloud.console.navigation import Crumb
from insight_cloud.console.rollout_view import (
    actions_of,
    figure_lines,
    kind_of,
    progress_text,
    shown_members,
    wave_bars,
)
from insight_cloud.console.shell import go_to
from insight_cloud.console.who import Operator, Viewer
from insight_cloud.devices.selection import Selection
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.releases.rules import State
from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.rollout import Rollout
from insight_edge.errors import DocumentError

DECISIONS = 50
DONE = {
    "pause": "Paused.",
    "resume": "It goes on.",
    "abort": "Stopped; every device stays as it is.",
    "roll_back": "It goes back.",
}


def rollouts_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()
    rollouts, shell = desk.cloud.rollouts, desk.shell

    @router.get("/rollouts")
    def all_rollouts(request: Request, actor: Viewer) -> Response:
        listed = [one for one in desk.cloud.releases.releases() if one.state is State.LISTED]
        versions = sorted({(one.model, one.version) for one in listed}, reverse=True)
        return shell.page(
            request, actor, "rollouts.html", section="rollouts", title="Rollouts",
            rollouts=rollouts.list(tenant=actor.tenant), versions=versions, plan=Plan(),
            profiles=sorted({one.profile for one in listed}),
        )  # fmt: skip

    @router.post("/rollouts")
    def start(form: Filled, actor: Operator) -> Response:
        made = _start(desk, form, actor)
        return go_to(f"/rollouts/{made.id}", f"Rollout {made.id} begins at the worker's next turn.")

    @router.get("/rollouts/{number}")
    def rollout_page(number: str, request: Request, actor: Viewer) -> Response:
        found = rollouts.get(_number(number), tenant=actor.tenant)
        return shell.page(
            request, actor, "rollout.html", section="rollouts",
            title=f"Rollout {found.id} of {found.label}", crumbs=[Crumb("Rollouts", "/rollouts")],
            **_view(desk, found.id, actor.tenant),
        )  # fmt: skip

    @router.get("/rollouts/{number}/live")
    async def live(number: str, request: Request, actor: Viewer) -> Response:
        fragments = partial(_fragments, desk, _number(number), actor)
        return desk.streams.answer(request, fragments, still_signed_in(desk, request))

    @router.post("/rollouts/{number}/{action}")
    def steer(number: str, action: str, form: Filled, actor: Operator) -> Response:
        if action not in DONE:
            raise NotFoundError("a rollout is paused, resumed, aborted or rolled back")
        told = {
            "by": actor.name,
            "now": shell.now(),
            "reason": form.text("reason") or "",
            "tenant": actor.tenant,
        }
        if action == "resume":
            told["waive"] = form.text("waive") == "yes"
        getattr(rollouts, action)(_number(number), **told)
        return go_to(f"/rollouts/{_number(number)}", DONE[action])

    return router


def still_signed_in(desk: Desk, request: Request) -> Callable[[], bool]:
    """Return what tells whether the session of a request still counts."""
    token = request.cookies.get(SESSION_COOKIE, "")
    return lambda: desk.cloud.accounts.by_session(token, desk.shell.now()) is not None


def _number(text: str) -> int:
    return whole(text, "the number of the rollout")


def _start(desk: Desk, form: Form, actor: Operator) -> Rollout:
    model, _, version = form.needed("version", "the version").rpartition(":")
    plan = Plan(
        canary=form.text("canary") or Plan.canary,
        waves=tuple((form.text("waves") or ",".join(Plan.waves)).replace(" ", "").split(",")),
        soak_s=_seconds(form, "soak_s", Plan.soak_s),
        deadline_s=_seconds(form, "deadline_s", Plan.deadline_s),
        least_calls=int(_seconds(form, "least_calls", Plan.least_calls)),
    )
    return desk.cloud.rollouts.start(
        model,
        whole(version, "the version"),
        form.needed("deployment", "the deployment"),
        by=actor.name,
        now=desk.shell.now(),
        selection=Selection(text=form.text("text"), profile=form.text("profile")),
        plan=plan,
        tenant=actor.tenant,
    )


def _seconds(form: Form, name: str, otherwise: float) -> float:
    text = form.text(name)
    if text is None:
        return otherwise
    try:
        return float(text)
    except ValueError as error:
        raise DocumentError(f"'{text[:20]}' is no number") from error


def _fragments(desk: Desk, number: int, actor: Viewer) -> dict[str, str]:
    view = _view(desk, number, actor.tenant)
    return {
        "#rollout": desk.shell.fragment("rollout_live.html", actor, **view),
        "#steering": desk.shell.fragment("rollout_actions.html", actor, **view),
    }


def _view(desk: Desk, number: int, tenant: str) -> dict[str, Any]:
    rollouts = desk.cloud.rollouts
    rollout = rollouts.get(number, tenant=tenant)
    members = rollouts.members(number, tenant=tenant)
    decisions = rollouts.decisions(number, limit=DECISIONS, tenant=tenant)
    return {
        "rollout": rollout,
        "bars": wave_bars(rollout, members),
        "members": shown_members(members),
        "total": len(members),
        "progress": progress_text(members),
        "kind_of": kind_of,
        "actions": actions_of(rollout),
        "decisions": [(one, figure_lines(one.figures)) for one in decisions],
    }
