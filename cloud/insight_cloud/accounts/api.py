# SPDX-License-Identifier: Apache-2.0
"""Accounts over HTTP: sign in, users, tokens, the audit trail."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from insight_cloud.accounts.audit import Trail
from insight_cloud.accounts.door import SESSION_COOKIE, Actor, Role, need
from insight_cloud.accounts.rules import LONGEST, MAX_PASSWORD
from insight_cloud.accounts.service import Accounts
from insight_cloud.platform.answers import refusals
from insight_cloud.platform.clock import now
from insight_cloud.platform.errors import ForbiddenError

Viewer = Annotated[Actor, Depends(need(Role.VIEWER))]
Operator = Annotated[Actor, Depends(need(Role.OPERATOR))]
Admin = Annotated[Actor, Depends(need(Role.ADMIN))]
UserName = Annotated[str, Path(max_length=64, examples=["kim"])]
TokenId = Annotated[str, Path(max_length=64, examples=["9f86d081884c7d65"])]
Password = Annotated[str, Field(max_length=MAX_PASSWORD)]


class SignIn(BaseModel):
    """Name and password."""

    name: Annotated[str, Field(max_length=64, examples=["kim"])]
    password: Password


class Me(BaseModel):
    """Who is asking."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    role: Role
    tenant: str


class UserIn(BaseModel):
    """A user to be made."""

    name: Annotated[str, Field(max_length=64, examples=["kim"])]
    password: Password
    role: Role


class UserChange(BaseModel):
    """What of a user is changed; what is left out stays."""

    password: Password | None = None
    role: Role | None = None
    disabled: bool | None = None


class UserOut(BaseModel):
    """A user."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    role: Role
    created: datetime
    disabled: datetime | None


class TokenIn(BaseModel):
    """A token to be made."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["nightly export"])]
    role: Role = Role.VIEWER
    expires: AwareDatetime | None = None


class TokenOut(BaseModel):
    """A token, without its secret."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    user: str
    name: str
    role: Role
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    used: datetime | None


class NewTokenOut(BaseModel):
    """A token that was just made; the secret is shown here and never again."""

    model_config = ConfigDict(from_attributes=True)

    token: TokenOut
    secret: str


class EntryOut(BaseModel):
    """One change that someone made, or tried to."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    at: datetime
    by: str
    action: str
    subject: str
    detail: str


def router(accounts: Accounts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1", tags=["accounts"])
    _sessions(routes, accounts)
    _users(routes, accounts)
    _tokens(routes, accounts)

    @routes.get("/audit", responses=refusals())
    def audit(
        actor: Operator,
        by: Annotated[str | None, Query(max_length=200)] = None,
        subject: Annotated[str | None, Query(max_length=200)] = None,
        action: Annotated[str | None, Query(max_length=200, description="How it begins.")] = None,
        after: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[EntryOut]:
        """List what was changed, the newest first; `after` is the id of the last one seen."""
        trail = Trail(by=by, subject=subject, action=action)
        found = accounts.audit(trail, after=after, limit=limit, tenant=actor.tenant)
        return [EntryOut.model_validate(entry) for entry in found]

    return routes


def set_session(response: Response, request: Request, token: str) -> None:
    """Give a browser its session, where no script and no other site gets at it."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(LONGEST.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )


def _sessions(routes: APIRouter, accounts: Accounts) -> None:
    @routes.post("/session", responses=refusals(413, 429))
    def sign_in(asked: SignIn, request: Request, response: Response) -> Me:
        """Sign in; the answer sets the cookie of a session."""
        address = request.client.host if request.client else ""
        token = accounts.sign_in(asked.name, asked.password, address=address, now=now())
        set_session(response, request, token)
        return Me.model_validate(accounts.by_session(token, now()))

    @routes.delete("/session", status_code=204, responses=refusals())
    def sign_out(_: Viewer, request: Request, response: Response) -> None:
        """End the session of this browser."""
        accounts.sign_out(request.cookies.get(SESSION_COOKIE, ""), now=now())
        response.delete_cookie(SESSION_COOKIE, path="/")

    @routes.get("/me", responses=refusals())
    def me(actor: Viewer) -> Me:
        """Say who is asking."""
        return Me.model_validate(actor)


def _users(routes: APIRouter, accounts: Accounts) -> None:
    @routes.get("/users", responses=refusals())
    def users(actor: Admin) -> list[UserOut]:
        """List all users."""
        return [UserOut.model_validate(user) for user in accounts.users(tenant=actor.tenant)]

    @routes.post("/users", status_code=201, responses=refusals(409, 413))
    def create(asked: UserIn, actor: Admin) -> UserOut:
        """Make a user."""
        user = accounts.create_user(
            asked.name, asked.password, asked.role, by=actor.name, now=now(), tenant=actor.tenant
        )
        return UserOut.model_validate(user)

    @routes.patch("/users/{name}", responses=refusals(404, 413))
    def alter(name: UserName, asked: UserChange, actor: Admin) -> UserOut:
        """Change a user's password or role, disable or enable them: all that is named, or none."""
        user = accounts.change_user(
            name,
            role=asked.role,
            password=asked.password,
            disabled=asked.disabled,
            by=actor.name,
            now=now(),
            tenant=actor.tenant,
        )
        return UserOut.model_validate(user)


def _tokens(routes: APIRouter, accounts: Accounts) -> None:
    @routes.get("/tokens", responses=refusals())
    def tokens(
        actor: Viewer, everyone: Annotated[bool, Query(description="For admins.")] = False
    ) -> list[TokenOut]:
        """List your tokens, or everyone's."""
        if everyone and not actor.role.allows(Role.ADMIN):
            raise ForbiddenError("only an admin sees everyone's tokens")
        found = accounts.tokens(None if everyone else actor.name, tenant=actor.tenant)
        return [TokenOut.model_validate(token) for token in found]

    @routes.post("/tokens", status_code=201, responses=refusals(409, 413))
    def issue(asked: TokenIn, actor: Viewer) -> NewTokenOut:
        """Make a token of yours, which may do at most what you may."""
        if not actor.role.allows(asked.role):
            raise ForbiddenError(f"you are {actor.role}: a token cannot be {asked.role}")
        if actor.until is not None and (asked.expires is None or asked.expires > actor.until):
            raise ForbiddenError(
                "a token that is made with a token ends with it at the latest",
                hint=f"expires: at most {actor.until.isoformat()}",
            )
        made = accounts.issue_token(
            actor.name,
            asked.name,
            asked.role,
            expires=asked.expires,
            by=actor.name,
            now=now(),
            tenant=actor.tenant,
        )
        return NewTokenOut.model_validate(made)

    @routes.delete("/tokens/{token}", responses=refusals(404))
    def revoke(token: TokenId, actor: Viewer) -> TokenOut:
        """Let a token of yours count no longer; an admin's word counts for everyone's."""
        mine = {
            one.id
            for one in accounts.tokens(actor.name, tenant=actor.tenant)
            if actor.token is None or actor.role.allows(one.role)
        }
        if token not in mine and not actor.role.allows(Role.ADMIN):
            raise ForbiddenError("this token is not yours")
        found = accounts.revoke_token(token, by=actor.name, now=now(), tenant=actor.tenant)
        return TokenOut.model_validate(found)
