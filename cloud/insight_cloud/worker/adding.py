# SPDX-License-Identifier: Apache-2.0
"""Add up what devices counted, as far as one turn of the worker goes.

Reports that came before their bundle was published are found again here: what is
published is asked for, nobody has to say so.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from insight_cloud.telemetry.service import Telemetry

BUDGET_S: Final = 0.4
"""Of one turn: whoever waits to be let know what to run waits no longer."""

AT_ONCE: Final = 1024
"""Reports in a transaction: an ingester waits for it to end."""

LOOK_S: Final = 2.0
"""Bundles that were unknown are looked for so often."""


class AddingUp:
    """Merges reports into totals and segments.

    Args:
        telemetry: that holds them.
        clock: says when it is.
        budget_s: how long a turn may begin another transaction.
    """

    def __init__(
        self, telemetry: Telemetry, clock: Callable[[], datetime], budget_s: float = BUDGET_S
    ) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._budget_s = budget_s
        self._look_s = 0.0

    def run(self) -> int:
        """Add up until nothing is left or the turn is over, and return how many reports.

        Raises:
            StorageError: the rest stays for the next turn.
        """
        begin_s = time.monotonic()
        if begin_s >= self._look_s:
            self._look_s = begin_s + LOOK_S
            self._telemetry.release_waiting(self._clock())
        merged = 0
        while some := self._telemetry.roll_up(self._clock(), limit=AT_ONCE):
            merged += some
            if time.monotonic() - begin_s >= self._budget_s:
                break
        return merged
