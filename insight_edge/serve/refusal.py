# SPDX-License-Identifier: Apache-2.0
"""Why a request is not answered: a status and one line; and what is answered otherwise."""

from typing import NamedTuple

import msgspec

from insight_edge.documents.open_inference import ErrorBody

JSON = "application/json"


class Response(NamedTuple):
    """What goes back; its length and whether the connection stays are the connection's.

    Attributes:
        closes: the connection can be used no more.
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    closes: bool = False


class RefusedError(Exception):
    """A request that is not answered as it asks."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        closes: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.headers, self.closes = status, headers, closes

    @property
    def response(self) -> Response:
        """What the client is told."""
        line = "".join(c if c.isprintable() else "?" for c in str(self))
        body = msgspec.json.encode(ErrorBody(line))
        return Response(self.status, body, headers=self.headers, closes=self.closes)


def malformed(message: str, status: int = 400) -> RefusedError:
    """Return the refusal of bytes of which nobody knows where the next request begins."""
    return RefusedError(status, message, closes=True)


def refused_method(*allowed: str) -> RefusedError:
    """Return the refusal of a method where there are others."""
    return RefusedError(
        405, f"only {' and '.join(allowed)} here", headers=(("Allow", ", ".join(allowed)),)
    )
