# SPDX-License-Identifier: Apache-2.0
"""Add up what devices counted, as far as the gates ask; what rows looked like is left out. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from insight_cloud.rollouts.evidence import Calls
from insight_cloud.telemetry.totals import Totals
from insight_edge.stats.latency import LatencyHistogram, lower_edge

NS_IN_MS = 1e6


@dataclass
class Sum:
    """What some totals say together, as far as a gate asks."""

    asked: int = 0
    failed: int = 0
    observed: int = 0
    flagged: int = 0
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)

    def add(self, totals: Totals) -> None:
        """Add the totals of one device and hour."""
        self.asked += totals.counts.asked
        self.failed += min(totals.counts.failed, totals.counts.asked)
        self.observed += totals.counts.observed
        self.flagged += min(totals.counts.flagged, totals.counts.observed)
        self.latency = self.latency.merge(totals.latency)

    def merge(self, other: "Sum") -> None:
        """Add what other totals say together."""
        self.asked += other.asked
        self.failed += other.failed
        self.observed += other.observed
        self.flagged += other.flagged
        self.latency = self.latency.merge(other.latency)

    def calls(self) -> Calls:
        """Return the figures that are kept of it."""
        timed = self.latency.count
        return Calls(
            asked=self.asked,
            failed=self.failed,
            observed=self.observed,
            flagged=self.flagged,
            timed=timed,
            p99_ms=self.latency.quantile(0.99) / NS_IN_MS if timed else None,
        )

    def slower_than(self, allowed_ms: float) -> int:
        """Return how many calls surely took longer."""
        allowed_ns = allowed_ms * NS_IN_MS
        held = self.latency.buckets().items()
        return sum(count for bucket, count in held if lower_edge(bucket) > allowed_ns)


def merged(sums: Mapping[str, Sum], names: Iterable[str]) -> Sum:
    """Return what some of the sums say together."""
    total = Sum()
    for name in names:
        if name in sums:
            total.merge(sums[name])
    return total
