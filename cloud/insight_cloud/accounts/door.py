# SPDX-License-Identifier: Apache-2.0
"""Who is asking, for routes and pages: a token, or the session of a browser.

A cookie goes with every request that a browser makes, wherever the page came
from; so a change that is asked for with one must come from a page of this site.
Devices have secrets of their own, which open nothing here.
"""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from insight_cloud.accounts.rules import Actor, Role, safe_next
from insight_cloud.accounts.service import Accounts
from insight_cloud.platform.clock import now
from insight_cloud.platform.errors import ForbiddenError, SignInNeededError, UnauthenticatedError

__all__ = ["SESSION_COOKIE", "Actor", "Role", "accounts_of", "need", "signed_in_page"]

SESSION_COOKIE = "insight_session"
MAX_SECRET = 200
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_bearer = HTTPBearer(auto_error=False, description="A token of `insight-cloud user token`.")
_cookie = APIKeyCookie(
    name=SESSION_COOKIE, auto_error=False, description="The session of a browser."
)
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
Cookie = Annotated[str | None, Depends(_cookie)]
Asked = Callable[[Request, HTTPAuthorizationCredentials | None, str | None], Actor]


def accounts_of(request: Request) -> Accounts:
    """Return the accounts of the installation that serves a request."""
    accounts: Accounts = request.app.state.accounts
    return accounts


def need(role: Role) -> Asked:
    """Return what a route depends on to know who asks.

    The dependency raises `UnauthenticatedError` where that is nobody known, and `ForbiddenError`
    where they may not.
    """

    def who(request: Request, bearer: Bearer, session: Cookie) -> Actor:
        actor = _recognised(request, bearer, session)
        if actor is None:
            raise UnauthenticatedError(
                "sign in, or show a token that counts",
                hint="Authorization: Bearer <token of insight-cloud user token>",
            )
        return _allowed(actor, role)

    return who


def signed_in_page(role: Role) -> Callable[[Request, str | None], Actor]:
    """Return what a page depends on: as `need`, but a browser is sent to sign in."""

    def who(request: Request, session: Cookie) -> Actor:
        actor = _recognised(request, None, session)
        if actor is None:
            wanted = request.url.path if request.method == "GET" else "/"
            raise SignInNeededError(safe_next(wanted))
        return _allowed(actor, role)

    return who


def _allowed(actor: Actor, role: Role) -> Actor:
    if not actor.role.allows(role):
        raise ForbiddenError(f"this needs the role {role.value}; {actor.name} is {actor.role}")
    return actor


def _recognised(
    request: Request, bearer: HTTPAuthorizationCredentials | None, session: str | None
) -> Actor | None:
    accounts = accounts_of(request)
    if bearer is not None:
        secret = bearer.credentials
        return accounts.by_token(secret, now()) if len(secret) <= MAX_SECRET else None
    if session is None or len(session) > MAX_SECRET:
        return None
    _refuse_other_sites(request)
    return accounts.by_session(session, now())


def _refuse_other_sites(request: Request) -> None:
    """Refuse a change that a page of another site asks for with this site's cookie."""
    if request.method in _SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        same = site in {"same-origin", "none"}
    else:
        origin = request.headers.get("origin") or request.headers.get("referer") or ""
        same = bool(origin) and urlsplit(origin).netloc == request.headers.get("host")
    if not same:
        raise ForbiddenError("another site asks for this change", hint="use a page of this site")
