# SPDX-License-Identifier: Apache-2.0
"""Pauses between attempts to get at the bundle of a job, and what each waits for.

Kept in memory alone: the next agent tries at once.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from insight_edge.fleet.update.policy import Policy


class Pause(NamedTuple):
    """One pause.

    Attributes:
        due_s: monotonic, when it is over.
        reason: what went wrong, in words.
    """

    attempts: int
    due_s: float
    reason: str


class Pauses:
    """Pauses of jobs, by id.

    Args:
        policy: says how long they are.
        monotonic: seconds that only grow.
    """

    def __init__(self, policy: Policy, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._policy, self._monotonic = policy, monotonic
        self._pauses: dict[str, Pause] = {}

    def put_off(self, name: str, reason: str) -> None:
        """Begin a pause, longer than the one before."""
        before = self._pauses.get(name)
        attempts = 1 if before is None else before.attempts + 1
        due_s = self._monotonic() + self._policy.pause_s(attempts)
        self._pauses[name] = Pause(attempts, due_s, reason)

    def reason(self, name: str) -> str | None:
        """Return why a job waits, or None where it need not."""
        pause = self._pauses.get(name)
        return None if pause is None or self._monotonic() >= pause.due_s else pause.reason

    def forget(self, name: str) -> None:
        """Forget the pauses of a job that is over."""
        self._pauses.pop(name, None)
