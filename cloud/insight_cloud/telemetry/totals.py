# SPDX-License-Identifier: Apache-2.0
"""Reports added up: exact, whatever the order and however they are split. Pure.

Counts are integers and summaries merge exactly (rule S9 in
docs/formats/statistics.md), so totals are compared with `==`.
"""

from dataclasses import dataclass

from insight_cloud.telemetry.rules import KnownBundle
from insight_edge.documents.report import Counts, Report
from insight_edge.documents.statistics import (
    SummaryDocument,
    latency_from_document,
    summary_from_document,
)
from insight_edge.errors import DocumentError
from insight_edge.stats.grid import Grid
from insight_edge.stats.latency import LatencyHistogram
from insight_edge.stats.summary import Summary

COUNTS = ("asked", "answered", "failed", "observed", "flagged", "broken")


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What some reports of one bundle say together.

    Attributes:
        reports: how many.
        inputs, outputs: None where no report counted them.
    """

    reports: int
    counts: Counts
    latency: LatencyHistogram
    inputs: Summary | None
    outputs: Summary | None

    def merge(self, other: "Totals") -> "Totals":
        """Return what both say.

        Raises:
            DocumentError: more was counted than is ever added up, or over another grid.
        """
        try:
            return Totals(
                reports=self.reports + other.reports,
                counts=Counts(
                    **{n: getattr(self.counts, n) + getattr(other.counts, n) for n in COUNTS}
                ),
                latency=self.latency.merge(other.latency),
                inputs=_both(self.inputs, other.inputs),
                outputs=_both(self.outputs, other.outputs),
            )
        except (OverflowError, ValueError) as error:
            raise DocumentError(f"does not add up: {error}") from error


NOTHING = Totals(reports=0, counts=Counts(), latency=LatencyHistogram(), inputs=None, outputs=None)


def totals_from_report(report: Report, bundle: KnownBundle) -> Totals:
    """Return what one report says.

    Raises:
        DocumentError: no rows or durations have these statistics.
    """
    return Totals(
        reports=1,
        counts=report.counts,
        latency=latency_from_document(report.latency),
        inputs=_summary(report.inputs, bundle.inputs),
        outputs=_summary(report.outputs, bundle.outputs),
    )


def _summary(document: SummaryDocument | None, grid: Grid | None) -> Summary | None:
    if document is None:
        return None
    if grid is None:
        raise DocumentError("summary: the bundle counts nothing there")
    return summary_from_document(document, grid)


def _both(one: Summary | None, other: Summary | None) -> Summary | None:
    if one is None or other is None:
        return one or other
    return one.merge(other)
