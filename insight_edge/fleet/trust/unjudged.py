# SPDX-License-Identifier: Apache-2.0
"""A `Desired` that could not be judged, because the update repository was out of reach.

It is kept in memory and judged again after a growing pause. What is lost with the
agent comes again from the broker, or from the cloud.
"""

import time
from dataclasses import dataclass, replace
from typing import Self

from insight_edge.fleet.update.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Unjudged:
    """What waits to be judged again; nothing by default.

    Attributes:
        payload: as it came.
        due_s: monotonic; None where it is being judged, or nothing waits.
    """

    payload: bytes = b""
    attempts: int = 0
    due_s: float | None = None

    def put_off(self, policy: Policy) -> Self:
        """Return it after one more attempt that failed."""
        attempts = self.attempts + 1
        due_s = time.monotonic() + policy.pause_s(attempts) if self.payload else None
        return replace(self, attempts=attempts, due_s=due_s)

    def begun(self) -> Self:
        """Return it while it is being judged."""
        return replace(self, due_s=None)

    def is_due(self) -> bool:
        """Return whether it is time to judge it again."""
        return self.due_s is not None and time.monotonic() >= self.due_s
