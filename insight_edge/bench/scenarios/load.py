# SPDX-License-Identifier: Apache-2.0
"""What came of queries that were due at given times: latencies, misses, whether a rate was held.

Pure: schedules and the times of `scenarios.serving` go in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.doubt import Doubt
from insight_edge.bench.scenarios.scenario import Scenario
from insight_edge.documents.measured import Load

MAX_BUSY_SHARE: Final = 0.95
"""Of the time a server may be answering. A queue takes some (1 - share)^-2 answers to settle, 400
of them here, and beyond it what is measured is how long the rounds were."""

MAX_WAKE_SHARE: Final = 0.10
"""Of the median latency may be due to this machine asking late; then the p50 is in doubt as it is
where it is known to no better than that."""

Times = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round of queries.

    Attributes:
        due_ns: i8[n], when each was due.
        times: i8[n, 2], when each was begun and answered; negative where it was dropped.
        duration_s: of the round, as scheduled.
    """

    due_ns: Times
    times: Times
    duration_s: float

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which were not dropped."""
        return np.asarray(self.times[:, 1] >= 0)

    def latencies_ns(self) -> NDArray[np.float64]:
        """Return f8[n], from when each was due to its answer; `inf` where it was dropped."""
        return np.where(self.answered, self.times[:, 1] - self.due_ns, np.inf)

    def woke_late_ns(self) -> Times:
        """Return by how much each that found nobody before it was begun too late."""
        times, due = self.times[self.answered], self.due_ns[self.answered]
        before = np.concatenate([[np.int64(-1)], times[:-1, 1]])
        return np.asarray((times[:, 0] - due)[before < due])


def load_of(scenario: Scenario, rounds: Sequence[Round]) -> Load:
    """Return what came of all rounds of a scenario with a rate."""
    latencies = np.concatenate([one.latencies_ns() for one in rounds])
    answered = np.isfinite(latencies)
    late = np.concatenate([one.woke_late_ns() for one in rounds])
    deadline_s, scheduled_s = scenario.deadline_s, sum(one.duration_s for one in rounds)
    missed = latencies > (np.inf if deadline_s is None else deadline_s * 1e9)
    return Load(
        rate_per_s=scenario.rate_per_s or 0.0,
        offered=len(latencies),
        offered_per_s=len(latencies) / scheduled_s,
        answered=int(answered.sum()),
        dropped=int((~answered).sum()),
        achieved_per_s=int(answered.sum()) / sum(_lasted_s(one) for one in rounds),
        busy_share=_service_s(rounds) * len(latencies) / scheduled_s,
        deadline_ms=None if deadline_s is None else deadline_s * 1e3,
        misses=None if deadline_s is None else int((missed | ~answered).sum()),
        waiting=scenario.waiting,
        woke_late_ms=float(np.median(late)) / 1e6 if len(late) else 0.0,
    )


def _service_s(rounds: Sequence[Round]) -> float:
    """Return how long an answer takes once it is begun, on average."""
    taken = [one.times[one.answered] for one in rounds]
    return float(np.concatenate([times[:, 1] - times[:, 0] for times in taken]).mean()) / 1e9


def _lasted_s(one: Round) -> float:
    """Return how long a round took: to its last answer, where that was later than its end."""
    return max(one.duration_s, int(one.times[:, 1].max(initial=0)) / 1e9)


def load_doubts(scenario: Scenario, load: Load, p50_ms: float) -> tuple[Doubt, ...]:
    """Return the doubts about a measurement under load: of a server, that the rate was not held.

    A sensor's misses are its result, and no doubt.
    """
    doubts = []
    if scenario.name == "server" and (load.dropped or load.busy_share > MAX_BUSY_SHARE):
        told = f"{load.rate_per_s:g} queries a second were not held"
        dropped = f", {load.dropped} of {load.offered} were dropped" if load.dropped else ""
        busy = f": they take {load.busy_share:.0%} of the time"
        doubts.append(Doubt("INVALID", told + busy + dropped))
    if load.woke_late_ms > MAX_WAKE_SHARE * p50_ms:
        told = f"queries were asked {load.woke_late_ms:.2g} ms late, the p50 is {p50_ms:.2g} ms"
        doubts.append(Doubt("NOISY", told))
    return tuple(doubts)
