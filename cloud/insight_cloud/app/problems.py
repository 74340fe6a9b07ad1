# SPDX-License-Identifier: Apache-2.0
"""What becomes of an error over HTTP: one line in `detail`, a hint, and never a traceback."""

from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from insight_cloud.app.headers import SAFE
from insight_cloud.app.unreadable import one_line
from insight_cloud.platform.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    SignInNeededError,
    SlowDownError,
    UnauthenticatedError,
)
from insight_edge.errors import (
    EnrolmentError,
    InputError,
    InsightEdgeError,
    LimitExceededError,
    StorageError,
)

STATUS: tuple[tuple[type[InsightEdgeError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (ForbiddenError, 403),
    (SlowDownError, 429),
    (UnauthenticatedError, 401),
    (EnrolmentError, 403),
    (LimitExceededError, 413),
    (StorageError, 507),
    (InputError, 422),
    (InsightEdgeError, 500),
)
"""The first class that fits decides."""


def answer_problems(app: FastAPI) -> None:
    """Let an app answer our errors."""

    @app.exception_handler(InsightEdgeError)
    def _problem(_: Request, error: InsightEdgeError) -> JSONResponse:
        return _answer(error)

    @app.exception_handler(Exception)
    def _unforeseen(_: Request, error: Exception) -> JSONResponse:
        del error  # it goes on to the log; no middleware sees this answer any more
        body = {"kind": "Unforeseen", "detail": "this failed; the server's log says why"}
        return JSONResponse({**body, "hint": None}, status_code=500, headers=SAFE)

    @app.exception_handler(SignInNeededError)
    def _sign_in(request: Request, error: SignInNeededError) -> Response:
        address = f"/login?{urlencode({'next': error.path})}"
        if "hx-request" in request.headers:  # a part of a page cannot be redirected; the page can
            return Response(status_code=401, headers={"HX-Redirect": address})
        return RedirectResponse(address, status_code=303)


def _answer(error: InsightEdgeError) -> JSONResponse:
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    body = {"kind": type(error).__name__, "detail": one_line(str(error)), "hint": error.hint}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if isinstance(error, SlowDownError):
        headers["Retry-After"] = str(error.wait_s)
    return JSONResponse(body, status_code=status, headers=headers)
