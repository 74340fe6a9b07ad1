# SPDX-License-Identifier: Apache-2.0
"""What has been asked since the start, counted; every count is written by the event loop alone."""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, NamedTuple

BOUNDS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
)  # fmt: skip
"""Upper bounds of the durations that are counted together; there is one more without a bound."""

Model = tuple[str, str]
"""Name and version."""


class Spent(NamedTuple):
    """What one call took, in ns.

    Attributes:
        waited: for a thread.
        reading, inferring, writing: of the body in, the engine with all around it, the body out.
    """

    waited: int = 0
    reading: int = 0
    inferring: int = 0
    writing: int = 0


@dataclass
class ModelTally:
    """Counts of one version of a model; durations in ns.

    Attributes:
        rows: that were answered.
        last_s: when the last one was answered, seconds since the epoch; 0 before.
        durations: answered calls by `BOUNDS_S`.
    """

    answered: int = 0
    failed: int = 0
    rows: int = 0
    last_s: float = 0.0
    answered_ns: int = 0
    failed_ns: int = 0
    spent: Spent = field(default_factory=Spent)
    durations: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))

    def add(self, spent: Spent, rows: int, *, now_s: float) -> None:
        """Count a call that was answered."""
        took_ns = sum(spent)
        self.answered += 1
        self.rows += rows
        self.answered_ns += took_ns
        self.last_s = now_s
        self.spent = Spent(*map(int.__add__, self.spent, spent))
        self.durations[_place(took_ns / 1e9)] += 1

    def add_failed(self, spent: Spent) -> None:
        """Count a call that was refused or failed."""
        self.failed += 1
        self.failed_ns += sum(spent)

    def cumulative(self) -> list[int]:
        """Return how many took at most each bound; the last counts all."""
        return list(accumulate(self.durations))


@dataclass
class Tally:
    """Counts of the server.

    Attributes:
        models: by name and version, those that were asked.
        requests: by endpoint and status.
    """

    models: defaultdict[Model, ModelTally] = field(default_factory=lambda: defaultdict(ModelTally))
    requests: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))


def _place(took_s: float) -> int:
    return next((i for i, bound in enumerate(BOUNDS_S) if took_s <= bound), len(BOUNDS_S))
