# SPDX-License-Identifier: Apache-2.0
"""How the JSON API documents what it refuses; `app.problems` is what answers so."""

from typing import Any

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "detail"],
    "properties": {
        "kind": {"type": "string", "description": "Class of the error."},
        "detail": {"type": "string", "description": "One line for people."},
        "hint": {"type": ["string", "null"], "description": "What to do about it."},
    },
}

_REASONS = {
    401: ("No token, or one that does not count.", "UnauthenticatedError"),
    403: ("A token whose role does not allow it.", "ForbiddenError"),
    404: ("Nothing of that name is recorded.", "NotFoundError"),
    409: ("It contradicts what is recorded already.", "ConflictError"),
    413: ("More than is ever read at once.", "LimitExceededError"),
    422: ("It cannot be meant as it is written.", "DocumentError"),
    429: (
        "Too many wrong passwords lately; `Retry-After` says when to try again.",
        "SlowDownError",
    ),
}

Responses = dict[int | str, dict[str, Any]]


def refusals(*statuses: int) -> Responses:
    """Return what OpenAPI says of statuses; 401, 403 and 422, which all routes have, are added."""
    return {status: _refusal(*_REASONS[status]) for status in sorted({401, 403, 422, *statuses})}


def _refusal(description: str, kind: str) -> dict[str, Any]:
    example = {"kind": kind, "detail": description.rstrip("."), "hint": None}
    content = {"application/json": {"schema": _PROBLEM, "example": example}}
    return {"description": description, "content": content}
