# SPDX-License-Identifier: Apache-2.0
"""What becomes of an error on a page: a page that says it in one line, and never a traceback."""

import inspect
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from insight_cloud.console.shell import Shell, is_partial
from insight_cloud.platform.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    SignInNeededError,
    UnauthenticatedError,
)
from insight_edge.errors import InputError, InsightEdgeError, LimitExceededError, StorageError

STATUS: tuple[tuple[type[InsightEdgeError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (ForbiddenError, 403),
    (UnauthenticatedError, 401),
    (LimitExceededError, 413),
    (StorageError, 507),
    (InputError, 422),
    (InsightEdgeError, 500),
)
"""The first class that fits decides."""

TITLES = {
    401: "Sign in first",
    403: "You may not do that",
    404: "There is no such page",
    405: "That cannot be asked here",
    409: "It contradicts what is recorded",
    413: "That is too much at once",
    422: "That cannot be read",
    500: "Something went wrong",
    507: "There is no room to write",
}

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_log = logging.getLogger(__name__)


def page_route(shell: Shell) -> type[APIRoute]:
    """Return the kind of route that pages are: faults become pages, and nothing is cached."""

    class PageRoute(APIRoute):
        """A route whose answers are pages."""

        def get_route_handler(self) -> _Handler:
            """Return the handler, guarded."""
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                response = await _answer(shell, handle, request)
                response.headers.setdefault("Cache-Control", "no-store")
                return response

            return guarded

    return PageRoute


def answer_lost(app: FastAPI, shell: Shell) -> None:
    """Let an app tell a browser in a page what is not there; programs get JSON as before."""
    otherwise = app.exception_handlers.get(HTTPException, http_exception_handler)

    @app.exception_handler(HTTPException)
    async def _lost(request: Request, error: HTTPException) -> Response:
        wants_page = "text/html" in request.headers.get("accept", "")
        if not wants_page or request.url.path.startswith("/v1/") or error.status_code < 400:
            answer: Any = otherwise(request, error)
            found: Response = await answer if inspect.isawaitable(answer) else answer
            return found
        return fault_page(shell, request, error.status_code, str(error.detail), None)


def fault_page(
    shell: Shell, request: Request, status: int, line: str, hint: str | None
) -> Response:
    """Return the page of a fault."""
    title = TITLES.get(status, "That did not work")
    if is_partial(request):
        return HTMLResponse(shell.notice(title, line, hint), status)
    return shell.alone(request, "fault.html", status=status, title=title, line=line, hint=hint)


async def _answer(shell: Shell, handle: _Handler, request: Request) -> Response:
    try:
        return await handle(request)
    except HTTPException as error:
        if error.status_code < 400:
            raise
        return fault_page(shell, request, error.status_code, str(error.detail), None)
    except RequestValidationError:
        return fault_page(shell, request, 422, "A part of the address cannot be read.", None)
    except SignInNeededError:
        raise
    except InsightEdgeError as error:
        status = next(status for kind, status in STATUS if isinstance(error, kind))
        return fault_page(shell, request, status, str(error), error.hint)
    except Exception:  # noqa: BLE001 - whatever it is, nobody is shown a traceback
        reference = secrets.token_hex(4)
        _log.exception("page %s failed, reference %s", request.url.path, reference)
        line = f"The server's log tells more under the reference {reference}."
        return fault_page(shell, request, 500, line, "try again; if it stays, report the reference")
