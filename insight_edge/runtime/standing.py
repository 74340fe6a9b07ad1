# SPDX-License-Identifier: Apache-2.0
"""How one of several models stands, and what became of it: for those who look."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from insight_edge.bundle.need import Need

State = Literal["ready", "waiting", "failed"]


class Change(NamedTuple):
    """Something that became of a model.

    Attributes:
        at_s: seconds since the epoch.
        reason: in one line.
    """

    at_s: float
    name: str
    state: Literal["ready", "waiting", "failed", "unloaded"]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a model stands.

    Attributes:
        state: `ready`; `waiting` for room, to be loaded again; `failed` to be loaded again.
        reason: in one line; empty where it is ready.
        priority: larger goes first, for memory and for calls.
        need: of memory.
        threads: of its engine for one call.
        bundle, variant: that serve, or did.
    """

    name: str
    state: State
    reason: str
    priority: int
    need: Need
    threads: int
    bundle: str
    variant: str
