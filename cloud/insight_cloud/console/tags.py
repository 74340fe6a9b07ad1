# SPDX-License-Identifier: Apache-2.0
"""How states are shown: a word, and a kind that has a colour. Pure.

A state that is not known here is shown by its own name: a page never fails for a new one.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["", "good", "warn", "bad", "info", "plain"]


@dataclass(frozen=True)
class Tag:
    """A state as it is shown."""

    text: str
    kind: Kind = ""


_KINDS: dict[str, Kind] = {
    "online": "good",
    "listed": "good",
    "completed": "good",
    "committed": "good",
    "succeeded": "good",
    "finished": "good",
    "done": "good",
    "proven": "good",
    "valid": "good",
    "closed": "good",
    "promoted": "good",
    "running": "info",
    "asked": "info",
    "returning": "info",
    "started": "info",
    "accepted": "info",
    "swapped": "info",
    "told": "info",
    "built": "info",
    "pending": "warn",
    "paused": "warn",
    "waiting": "warn",
    "unproven": "warn",
    "noisy": "warn",
    "throttled": "warn",
    "held": "warn",
    "expired": "warn",
    "withdrawn": "warn",
    "rolling_back": "warn",
    "rolled_back": "warn",
    "restored": "warn",
    "open": "bad",
    "failed": "bad",
    "refused": "bad",
    "revoked": "bad",
    "stuck": "bad",
    "invalid": "bad",
    "aborted": "bad",
    "died": "warn",
}


def tag_of(state: str) -> Tag:
    """Return how a state is shown, whatever domain it is of."""
    name = state.lower()
    return Tag(name.replace("_", " "), _KINDS.get(name, ""))
