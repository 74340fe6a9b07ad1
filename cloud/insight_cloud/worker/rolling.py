# SPDX-License-Identifier: Apache-2.0
"""Take rollouts further, without taking the worker from its other duties.

Reading the evidence of a large fleet takes a while; so after a turn it rests for
several times as long as that took.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from insight_cloud.rollouts.service import Rollouts

REST: Final = 9.0
"""Times as long as a turn: rollouts take at most a tenth of the worker's time."""


class Rolling:
    """Takes rollouts further.

    Args:
        rollouts: all of them.
        clock: gives the time.
        timer: seconds that never go back.
    """

    def __init__(
        self,
        rollouts: Rollouts,
        clock: Callable[[], datetime],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rollouts = rollouts
        self._clock = clock
        self._timer = timer
        self._due_s = 0.0

    def run(self) -> int:
        """Take each rollout one step further if it is time, and return how many those are.

        Raises:
            InsightEdgeError: a step is not complete; the next turn completes it.
        """
        began_s = self._timer()
        if began_s < self._due_s:
            return 0
        try:
            return self._rollouts.run(self._clock())
        finally:
            ended_s = self._timer()
            self._due_s = ended_s + REST * (ended_s - began_s)
