# SPDX-License-Identifier: Apache-2.0
"""What becomes of a request that no route understands: one line, in the form of all problems."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

MAX_LINE = 300
_KINDS = {404: "NotFoundError", 413: "LimitExceededError"}
_BODILESS = frozenset({204, 304})


def answer_unreadable(app: FastAPI) -> None:
    """Let an app answer what it cannot read in one line."""

    @app.exception_handler(RequestValidationError)
    def _misread(_: Request, error: RequestValidationError) -> JSONResponse:
        return _problem(422, "DocumentError", line_of(error.errors()))

    @app.exception_handler(HTTPException)
    def _refused(_: Request, error: HTTPException) -> Response:
        if error.status_code in _BODILESS:
            return Response(status_code=error.status_code, headers=error.headers)
        # A body that is no text at all is called a bad request; it is one that cannot be read.
        status = 422 if error.status_code == 400 else error.status_code
        answer = _problem(status, _KINDS.get(status, "DocumentError"), str(error.detail))
        answer.headers.update(error.headers or {})
        return answer


def line_of(errors: Sequence[Any]) -> str:
    """Return the first thing that is wrong with a request, and how many more there are. Pure."""
    if not errors:
        return "the request cannot be read"
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"])
    why = first.get("ctx", {}).get("error", "") if first["type"] == "json_invalid" else ""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return one_line(f"{place}: {first['msg']}{f': {why}' if why else ''}") + more


def _problem(status: int, kind: str, detail: str) -> JSONResponse:
    body = {"kind": kind, "detail": one_line(detail), "hint": None}
    return JSONResponse(body, status_code=status)


def one_line(text: str) -> str:
    """Return text without line breaks and other control characters, of bounded length. Pure."""
    return "".join(c if c.isprintable() else " " for c in text)[:MAX_LINE]
