# SPDX-License-Identifier: Apache-2.0
"""Let go of what is old, inside a transaction of the service's."""

from dataclasses import dataclass

from sqlalchemy import delete, or_
from sqlalchemy.orm import Session

from insight_cloud.telemetry import challenges, samples, segmenting
from insight_cloud.telemetry.health import forget_runs
from insight_cloud.telemetry.pending import give_up
from insight_cloud.telemetry.rules import HOUR_S
from insight_cloud.telemetry.tables import (
    NEW,
    OutcomeRow,
    PredictionRow,
    ReportRow,
    SampleRow,
    TotalsRow,
)

DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long what is kept, in seconds since it arrived.

    Attributes:
        waiting_s: of a report whose bundle is not known.
        keys_s: of a report: a copy that comes later would count twice.
        predictions_s: of a result that is in the log; outcomes join it until then.
        unlogged_s: of one that could not be logged.
        outcomes_s: of what came true.
        offers_s: until a sample that nobody has uploaded is let go.
        totals_s: of an hour's totals; of what a challenger did, since its last report.
        segments_s: of a segment; the newest of a bundle stays.
    """

    waiting_s: float = 14 * DAY_S
    keys_s: float = 200 * DAY_S
    predictions_s: float = 60 * DAY_S
    unlogged_s: float = 120 * DAY_S
    outcomes_s: float = 120 * DAY_S
    offers_s: float = 14 * DAY_S
    totals_s: float = 730 * DAY_S
    segments_s: float = 120 * DAY_S


def let_go(session: Session, keep: Retention, now_s: float) -> None:
    """Delete what is older than it is kept; what is not added up yet stays."""
    added = ReportRow.state != NEW
    give_up(session, now_s - keep.waiting_s)
    forget_runs(session, now_s - keep.keys_s)
    session.execute(delete(ReportRow).where(added, ReportRow.arrived_s < now_s - keep.keys_s))
    session.execute(
        delete(PredictionRow).where(
            or_(
                PredictionRow.arrived_s < now_s - keep.unlogged_s,
                PredictionRow.logged.is_(True)
                & (PredictionRow.arrived_s < now_s - keep.predictions_s),
            )
        )
    )
    session.execute(delete(OutcomeRow).where(OutcomeRow.arrived_s < now_s - keep.outcomes_s))
    samples.expire(session, now_s - keep.offers_s, now_s)
    session.execute(
        delete(SampleRow).where(
            SampleRow.state == samples.SampleState.EXPIRED.value,
            SampleRow.changed_s < now_s - keep.keys_s,
        )
    )
    session.execute(delete(TotalsRow).where(TotalsRow.hour < (now_s - keep.totals_s) / HOUR_S))
    segmenting.let_go(session, now_s - keep.segments_s)
    challenges.let_go(session, now_s - keep.totals_s)
