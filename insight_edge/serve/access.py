# SPDX-License-Identifier: Apache-2.0
"""Who may ask (rule O9): by a token, or by being on this machine and no page in its browser."""

import hmac
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from insight_edge.serve.head import Head
from insight_edge.serve.refusal import RefusedError

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a request has to show.

    Attributes:
        token: that it carries; None where none is needed.
        hosts: one of which it has to name; empty where any will do.
    """

    token: bytes | None = None
    hosts: frozenset[str] = LOOPBACK

    def __repr__(self) -> str:
        """Return what may be printed."""
        return f"Access(token={'none' if self.token is None else 'set'}, hosts={self.hosts})"

    def check(self, head: Head) -> None:
        """Let a request in.

        Raises:
            RefusedError: it may not be asked; its body is not read.
        """
        if self.token is not None and not _shows(head, self.token):
            raise RefusedError(
                401, "a bearer token is needed", headers=(("WWW-Authenticate", "Bearer"),),
                closes=True,
            )  # fmt: skip
        if self.hosts:
            self._check_names(head)

    def _check_names(self, head: Head) -> None:
        """Refuse what a browser was brought to ask by a page of another site."""
        if _host("//" + head.fields.get("host", "localhost")) not in self.hosts:
            raise RefusedError(421, "this is served to its own machine alone", closes=True)
        origin = head.fields.get("origin")
        if origin is not None and _host(origin) not in self.hosts:
            raise RefusedError(403, "a page of another site may not ask", closes=True)


def _shows(head: Head, token: bytes) -> bool:
    scheme, _, shown = head.fields.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        shown.strip().encode("latin-1"), token
    )


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
