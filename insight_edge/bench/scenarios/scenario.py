# SPDX-License-Identifier: Apache-2.0
"""A scenario: how many rows a query has, and whether it waits for the one before."""

from typing import Final, Literal

import msgspec

Name = Literal["single-stream", "multi-stream", "offline", "server", "sensor"]

OFFLINE_ROWS: Final = 32
MULTI_STREAM_ROWS: Final = 8
"""What MLPerf Inference asks at once."""

SERVER_WAITING: Final = 1000
"""Queries that may wait; at ten times the rate that is held it takes a round to fill it."""

SENSOR_WAITING: Final = 1
"""A reading that finds another one waiting is lost: it would be answered too late."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """How a subject is asked.

    Attributes:
        name: MLPerf's word; `sensor` asks at a fixed rate, each query with a deadline.
        rows: of a query; a multiple of what an artifact takes at once.
        rate_per_s: queries that are due in a second, whether those before were answered or not;
            None where a query follows the one before.
        deadline_s: from when it is due; None for none.
        waiting: queries that may wait; one more is dropped.
    """

    name: Name = "single-stream"
    rows: int = 1
    rate_per_s: float | None = None
    deadline_s: float | None = None
    waiting: int = 0

    @property
    def region(self) -> str:
        """What the clock stands around, in words."""
        engine = "of the engine's session, without pre- and post-processing"
        rows = "" if self.rows == 1 else f" of {self.rows} rows"
        if self.rate_per_s is not None:
            return f"from when a query is due to its answer by one inference{rows} {engine}"
        if self.name == "single-stream":
            return f"one inference{rows} {engine}"
        return f"{self.rows} rows, in one inference where the batch is free, {engine}"


SINGLE_STREAM: Final = Scenario()
