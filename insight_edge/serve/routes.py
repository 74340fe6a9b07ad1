# SPDX-License-Identifier: Apache-2.0
"""Which address means what (rule O1); nothing is known of who serves."""

from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import unquote

from insight_edge.serve.refusal import RefusedError, refused_method

Endpoint = Literal[
    "server", "live", "ready", "index", "metrics", "all stats", "model", "model ready", "infer",
    "stats",
]  # fmt: skip

_FIXED: dict[tuple[str, ...], Endpoint] = {
    ("v2",): "server",
    ("v2", "health", "live"): "live",
    ("v2", "health", "ready"): "ready",
    ("v2", "repository", "index"): "index",
    ("v2", "models", "stats"): "all stats",
    ("metrics",): "metrics",
}
_OF_A_MODEL: dict[tuple[str, ...], Endpoint] = {
    (): "model",
    ("ready",): "model ready",
    ("infer",): "infer",
    ("stats",): "stats",
}
_POSTED = frozenset({"infer", "index"})


class Route(NamedTuple):
    """What is asked of whom.

    Attributes:
        model, version: None where the address names none.
    """

    endpoint: Endpoint
    model: str | None = None
    version: str | None = None


@lru_cache(maxsize=64)
def route(method: str, path: str) -> Route:
    """Return what an address means.

    Raises:
        RefusedError: there is no such address, or not by this method.
    """
    found = _find(tuple(unquote(part) for part in path.strip("/").split("/")))
    wanted = "POST" if found.endpoint in _POSTED else "GET"
    if method != wanted:
        raise refused_method(wanted)
    return found


def _find(parts: tuple[str, ...]) -> Route:
    if parts in _FIXED:
        return Route(_FIXED[parts])
    if parts[:2] == ("v2", "models") and len(parts) > 2:
        model, rest, version = parts[2], parts[3:], None
        if rest[:1] == ("versions",) and len(rest) > 1:
            version, rest = rest[1], rest[2:]
        if rest in _OF_A_MODEL:
            return Route(_OF_A_MODEL[rest], model, version)
    raise RefusedError(404, "there is no such address; see GET /v2")
