# SPDX-License-Identifier: Apache-2.0
"""Labelling: one captured input at a time, answered by a key."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from insight_cloud.accounts.door import Role
from insight_cloud.console.desk import Desk
from insight_cloud.console.forms import Filled, Form, whole
from insight_cloud.console.labelling_view import (
    choices_of,
    class_text,
    progress_of,
    values_of,
    verdict_text,
)
from insight_cloud.console.shell import go_to, is_partial
from insight_cloud.console.who import Operator, Viewer
from insight_cloud.labels.rules import Task, TaskState
from insight_cloud.platform.errors import NotFoundError
from insight_edge.errors import DocumentError

LATEST = 12
CANNOT_TELL = "cannot tell"


def labelling_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()
    labels = desk.cloud.labels

    @router.get("/labelling")
    def labelling(request: Request, actor: Viewer) -> Response:
        model = request.query_params.get("model", "")[:63] or None
        view = _view(desk, model, actor, None)
        if is_partial(request):
            return HTMLResponse(desk.shell.fragment("labelling_card.html", actor, **view))
        return desk.shell.page(
            request,
            actor,
            "labelling.html",
            section="labels",
            title="Labelling",
            models=labels.models(tenant=actor.tenant),
            latest=labels.queue(model, TaskState.FINISHED, limit=LATEST, tenant=actor.tenant).tasks,
            **view,
        )

    @router.get("/labelling/tasks/{task}/image")
    def image(task: str, actor: Viewer) -> Response:
        data = labels.image(task, tenant=actor.tenant)
        return Response(data, media_type="image/png")

    @router.post("/labelling/tasks/{task}")
    def answer(task: str, request: Request, form: Filled, actor: Operator) -> Response:
        told = _answer(desk, task, form, actor)
        model = form.text("model")
        if is_partial(request):
            view = _view(desk, model, actor, told)
            return HTMLResponse(desk.shell.fragment("labelling_card.html", actor, **view))
        return go_to("/labelling" + (f"?{urlencode({'model': model})}" if model else ""), told)

    return router


def _answer(desk: Desk, task: str, form: Form, actor: Operator) -> str:
    """Take an answer and return what is said of it."""
    labels, now = desk.cloud.labels, desk.shell.now()
    reason = form.text("reason") or CANNOT_TELL
    kind = form.needed("answer", "the answer")
    if kind == "skip":
        labels.skip(task, reason, by=actor.name, now=now, tenant=actor.tenant)
        return "Skipped: somebody else is asked."
    if kind == "unusable":
        labels.unusable(task, reason, by=actor.name, now=now, tenant=actor.tenant)
        return "Noted: nobody can tell."
    if not kind.startswith("class-"):
        raise DocumentError(f"'{kind[:20]}' is no answer")
    index = whole(kind.removeprefix("class-"), "the class")
    found = labels.answer(task, index, by=actor.name, now=now, tenant=actor.tenant)
    return verdict_text(found, class_text((index, None), found.classes))


def _view(desk: Desk, model: str | None, actor: Viewer, told: str | None) -> dict[str, Any]:
    labels, tenant = desk.cloud.labels, actor.tenant
    task = None
    if actor.role.allows(Role.OPERATOR):
        task = labels.next_task(actor.name, model, now=desk.shell.now(), tenant=tenant)
    counted = [model] if model else list(labels.models(tenant=tenant))
    picture = task is not None and _has_picture(desk, task, tenant)
    return {
        "model": model,
        "task": task,
        "picture": picture,
        "values": {} if task is None or picture else _values(desk, task, tenant),
        "choices": () if task is None else choices_of(task.classes),
        "progress": [(name, progress_of(labels.counts(name, tenant=tenant))) for name in counted],
        "told": told,
    }


def _has_picture(desk: Desk, task: Task, tenant: str) -> bool:
    try:
        return bool(desk.cloud.labels.image(task.id, tenant=tenant))
    except (NotFoundError, DocumentError):
        return False


def _values(desk: Desk, task: Task, tenant: str) -> dict[str, str]:
    try:
        return values_of(desk.cloud.labels.input(task.id, tenant=tenant))
    except (NotFoundError, DocumentError) as error:
        return {"it cannot be read": str(error)}
