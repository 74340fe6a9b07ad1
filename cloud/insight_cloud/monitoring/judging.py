# SPDX-License-Identifier: Apache-2.0
"""Judge a segment: draw the limit that it takes, or find the one that was drawn."""

from datetime import datetime

from insight_cloud.monitoring.rules import Policy
from insight_cloud.monitoring.tables import ThresholdRow
from insight_cloud.monitoring.watched import Watched
from insight_cloud.platform.database import Database
from insight_cloud.telemetry.segments import Segment
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.thresholds import (
    Thresholds,
    document_from_threshold,
    threshold_from_document,
)
from insight_edge.errors import DocumentError
from insight_edge.stats.assess import Assessment, Verdict, assess
from insight_edge.stats.sentence import no_thresholds
from insight_edge.stats.summary import Summary
from insight_edge.stats.threshold import (
    MIN_BLOCKS,
    STATISTIC,
    WINDOWS,
    Threshold,
    draw_threshold,
    window_size,
)


class Judging:
    """Judges segments; limits are drawn once and kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def judge(
        self, watched: Watched, segment: Segment, policy: Policy, now: datetime
    ) -> tuple[Assessment, Threshold | None]:
        """Return what a segment says, and the limit that it was held against.

        Raises:
            StorageError: a limit cannot be read or kept.
        """
        if watched.reference is None:
            return _unwatched(segment, watched.reason), None
        threshold = None
        if segment.rows >= policy.window_rows:
            threshold = self._threshold(watched, segment, policy, now)
        observed = _observed(watched, segment)
        assessment = assess(
            watched.reference,
            observed,
            [] if threshold is None else [threshold],
            least_rows=policy.window_rows,
            reason=_why_none(watched),
        )
        return assessment, threshold

    def _threshold(
        self, watched: Watched, segment: Segment, policy: Policy, now: datetime
    ) -> Threshold | None:
        if watched.rows is None or watched.grid is None:
            return None
        size = window_size(segment.rows, len(watched.rows))
        if size is None:
            return None
        key = (segment.tenant, watched.bundle, size, STATISTIC, policy.budget)
        with self._database.read() as session:
            row = session.get(ThresholdRow, key)
            kept = None if row is None else _kept(row.document, watched)
        if kept is not None:
            return kept
        # Outside of any transaction: it takes a second, and two workers draw the same.
        drawn = draw_threshold(watched.grid, watched.rows, window_rows=size, budget=policy.budget)
        if drawn is None:
            return None
        document = document_from_threshold(drawn, bundle=watched.bundle, grid=watched.grid.digest)
        columns = ("tenant", "bundle", "window_rows", "statistic", "budget")
        values = dict(zip(columns, key, strict=True))
        with self._database.write() as session:
            session.merge(
                ThresholdRow(**values, document=encode_json(document).decode(), drawn=now)
            )
        return drawn


def _kept(document: str, watched: Watched) -> Threshold | None:
    """Return a limit that was kept; None where a release drew it that chose other features."""
    try:
        thresholds = decode_json(Thresholds, document.encode())
    except DocumentError:
        return None
    threshold = threshold_from_document(thresholds)
    same_grid = watched.grid is not None and thresholds.grid == watched.grid.digest
    return threshold if same_grid else None


def _observed(watched: Watched, segment: Segment) -> list[Summary]:
    """Return the summaries of a segment in the order of the reference's; empty where none came."""
    if watched.reference is None:
        return []
    counted = {
        summary.grid.digest: summary
        for summary in (segment.totals.inputs, segment.totals.outputs)
        if summary is not None
    }
    return [
        counted.get(summary.grid.digest, Summary.zero(summary.grid))
        for summary in watched.reference.summaries
    ]


def _unwatched(segment: Segment, reason: str) -> Assessment:
    return Assessment(
        verdict=Verdict.NO_THRESHOLDS,
        rows=segment.rows,
        score=None,
        limit=None,
        findings=(),
        sentence=no_thresholds(segment.rows, reason),
    )


def _why_none(watched: Watched) -> str:
    if watched.rows is None:
        return watched.reason
    needed = MIN_BLOCKS * WINDOWS[0]
    return (
        f"not enough reference rows: {len(watched.rows)}, and windows of {WINDOWS[0]} take {needed}"
    )
