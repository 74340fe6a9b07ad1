# SPDX-License-Identifier: Apache-2.0
"""Users and tokens: who may do what. For administrators."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response

from insight_cloud.accounts.rules import Role
from insight_cloud.accounts.user import NewToken
from insight_cloud.console.desk import Desk
from insight_cloud.console.forms import Filled, Form, whole
from insight_cloud.console.shell import go_to
from insight_cloud.console.who import Admin
from insight_edge.errors import DocumentError

MAX_DAYS = 3650


def users_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()
    accounts, now = desk.cloud.accounts, desk.shell.now

    @router.get("/users")
    def users(request: Request, actor: Admin) -> Response:
        return _page(desk, request, actor, None)

    @router.post("/users")
    def add(form: Filled, actor: Admin) -> Response:
        name, password = form.needed("name", "the name"), form.fields.get("password", "")
        accounts.create_user(
            name, password, _role(form), by=actor.name, now=now(), tenant=actor.tenant
        )
        return go_to("/users", f"{name} can sign in.")

    @router.post("/users/{name}/role")
    def change_role(name: str, form: Filled, actor: Admin) -> Response:
        accounts.set_role(name, _role(form), by=actor.name, now=now(), tenant=actor.tenant)
        return go_to("/users", f"{name} is {_role(form)} now.")

    @router.post("/users/{name}/disable")
    def disable(name: str, actor: Admin) -> Response:
        accounts.disable_user(name, by=actor.name, now=now(), tenant=actor.tenant)
        return go_to("/users", f"Nothing of {name} counts any more.")

    @router.post("/users/{name}/enable")
    def enable(name: str, actor: Admin) -> Response:
        accounts.enable_user(name, by=actor.name, now=now(), tenant=actor.tenant)
        return go_to("/users", f"{name} can sign in again.")

    @router.post("/tokens")
    def issue(request: Request, form: Filled, actor: Admin) -> Response:
        days = whole(form.text("days") or "0", "the number of days")
        if days > MAX_DAYS:
            raise DocumentError(f"a token lasts at most {MAX_DAYS} days")
        made = accounts.issue_token(
            actor.name,
            form.needed("name", "the name"),
            _role(form),
            by=actor.name,
            now=now(),
            expires=now() + timedelta(days=days) if days else None,
            tenant=actor.tenant,
        )
        return _page(desk, request, actor, made)

    @router.post("/tokens/{token}/revoke")
    def revoke(token: str, actor: Admin) -> Response:
        accounts.revoke_token(token, by=actor.name, now=now(), tenant=actor.tenant)
        return go_to("/users", "The token counts no longer.")

    return router


def _page(desk: Desk, request: Request, actor: Admin, made: NewToken | None) -> Response:
    return desk.shell.page(
        request,
        actor,
        "users.html",
        section="users",
        title="Users and tokens",
        users=desk.cloud.accounts.users(tenant=actor.tenant),
        tokens=desk.cloud.accounts.tokens(tenant=actor.tenant),
        roles=list(Role),
        made=made,
    )


def _role(form: Form) -> Role:
    """Return the role that a form names.

    Raises:
        DocumentError: it is none.
    """
    text = form.needed("role", "the role")
    if text not in set(Role):
        raise DocumentError(f"'{text[:20]}' is no role")
    return Role(text)
