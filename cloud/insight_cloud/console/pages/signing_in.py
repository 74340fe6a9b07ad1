# SPDX-License-Identifier: Apache-2.0
"""Sign in and out."""

from fastapi import APIRouter, Request, Response

from insight_cloud.accounts.api import set_session
from insight_cloud.accounts.door import SESSION_COOKIE
from insight_cloud.accounts.rules import MAX_PASSWORD, safe_next
from insight_cloud.console.desk import Desk
from insight_cloud.console.forms import Filled, Form
from insight_cloud.console.shell import go_to
from insight_cloud.console.who import Viewer
from insight_cloud.platform.errors import ForbiddenError, UnauthenticatedError

_OWN = frozenset({None, "same-origin", "none"})


def signing_in_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()

    @router.get("/login")
    def login(request: Request) -> Response:
        return _page(desk, request, next_path=request.query_params.get("next"))

    @router.post("/login")
    def sign_in(request: Request, form: Filled) -> Response:
        if request.headers.get("sec-fetch-site") not in _OWN:
            raise ForbiddenError("another site asks to sign in", hint="use a page of this site")
        return _sign_in(desk, request, form)

    @router.post("/logout")
    def logout(request: Request, _: Viewer) -> Response:
        token = request.cookies.get(SESSION_COOKIE, "")
        desk.cloud.accounts.sign_out(token, now=desk.shell.now())
        response = go_to("/login")
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response

    return router


def _sign_in(desk: Desk, request: Request, form: Form) -> Response:
    name, password = form.text("name") or "", form.fields.get("password", "")
    address = request.client.host if request.client else ""
    next_path = safe_next(form.text("next"))
    try:
        token = desk.cloud.accounts.sign_in(
            name[:64], password[:MAX_PASSWORD], address=address, now=desk.shell.now()
        )
    except UnauthenticatedError as error:
        told = f"{error}: {error.hint}" if error.hint else str(error)
        return _page(desk, request, next_path=next_path, name=name, fault=told, status=401)
    response = go_to(next_path)
    set_session(response, request, token)
    return response


def _page(
    desk: Desk,
    request: Request,
    *,
    next_path: str | None,
    name: str = "",
    fault: str | None = None,
    status: int = 200,
) -> Response:
    return desk.shell.alone(
        request,
        "login.html",
        status=status,
        title="Sign in",
        next=safe_next(next_path),
        name=name,
        fault=fault,
        state=desk.cloud.settings.state,
    )
