# SPDX-License-Identifier: Apache-2.0
"""How long the body of a request may be, whatever its headers say.

Frameworks read a body whole before a route is asked whether it wants it.
"""

from http import HTTPStatus

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BYTES = 16 * 1024 * 1024
"""Ten thousand outcomes with room, and a file of Label Studio."""

OWN_BOUNDS = frozenset({("POST", "/v1/enrol"), ("PUT", "/v1/samples"), ("POST", "/v1/releases")})
"""Routes that read their body themselves, within a bound of theirs."""


class BodyBound:
    """Middleware that ends a request whose body is too long."""

    def __init__(self, app: ASGIApp, *, max_bytes: int = MAX_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) in OWN_BOUNDS:
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or len(said) > 18 or int(said) > self._max_bytes:
            await JSONResponse(self._problem(), 413)(scope, receive, send)
            return
        read_bytes = 0

        async def bounded() -> Message:
            nonlocal read_bytes
            message = await receive()
            read_bytes += len(message.get("body", b""))
            if read_bytes > self._max_bytes:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._line())
            return message

        await self._app(scope, bounded, send)

    def _line(self) -> str:
        return f"the body is longer than {self._max_bytes} bytes"

    def _problem(self) -> dict[str, object]:
        return {"kind": "LimitExceededError", "detail": self._line(), "hint": None}
