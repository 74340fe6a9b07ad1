# SPDX-License-Identifier: Apache-2.0
"""What becomes of an error over HTTP: one line in `detail`, a hint, and never a traceback."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from insight_cloud.platform.errors import ConflictError, ForbiddenError, NotFoundError
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
        status = next(status for kind, status in STATUS if isinstance(error, kind))
        body = {"kind": type(error).__name__, "detail": str(error), "hint": error.hint}
        return JSONResponse(body, status_code=status)
