# SPDX-License-Identifier: Apache-2.0
"""Read what monitoring keeps, inside a transaction of the service's."""

from typing import Final

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from insight_cloud.monitoring.alarm import Alarm, FeatureFigures, WindowAssessment
from insight_cloud.monitoring.rules import Policy
from insight_cloud.monitoring.tables import AlarmRow, AssessmentRow, PolicyRow
from insight_cloud.platform.errors import NotFoundError
from insight_edge.stats.assess import Verdict

_figures: Final = msgspec.json.Decoder(tuple[FeatureFigures, ...])


def assessments(
    session: Session, tenant: str, bundle: str, *, before: int | None, limit: int
) -> tuple[WindowAssessment, ...]:
    """Return the assessed windows of a bundle, the newest first, from before a number."""
    query = select(AssessmentRow).filter_by(tenant=tenant, bundle=bundle)
    if before is not None:
        query = query.where(AssessmentRow.number < before)
    found = session.scalars(query.order_by(AssessmentRow.number.desc()).limit(limit))
    return tuple(_assessment(row) for row in found)


def assessed(session: Session, tenant: str) -> dict[str, int]:
    """Return the number of the newest assessed segment, by bundle."""
    query = (
        select(AssessmentRow.bundle, func.max(AssessmentRow.number).label("newest"))
        .where(AssessmentRow.tenant == tenant)
        .group_by(AssessmentRow.bundle)
    )
    return {row.bundle: row.newest for row in session.execute(query)}


def alarm_rows(
    session: Session, tenant: str, *, is_open: bool | None, limit: int
) -> tuple[AlarmRow, ...]:
    """Return alarms, the newest first; only open or closed ones, or all."""
    query = select(AlarmRow).filter_by(tenant=tenant)
    if is_open is not None:
        query = query.where(AlarmRow.closed.is_(None) if is_open else AlarmRow.closed.is_not(None))
    return tuple(session.scalars(query.order_by(AlarmRow.id.desc()).limit(limit)))


def alarm_row(session: Session, tenant: str, number: int) -> AlarmRow:
    """Return an alarm.

    Raises:
        NotFoundError: there is no such one.
    """
    row = session.get(AlarmRow, (tenant, number))
    if row is None:
        raise NotFoundError(f"there is no alarm {number}")
    return row


def alarm_of(row: AlarmRow, outcomes: str) -> Alarm:
    """Return an alarm with how right answers are."""
    return Alarm(
        tenant=row.tenant,
        id=row.id,
        bundle=row.bundle,
        model=row.model,
        version=row.version,
        opened=row.opened,
        first=row.first,
        since_s=row.first_s,
        segment=row.segment,
        last=row.last,
        sentence="; ".join(filter(None, (row.sentence, outcomes))),
        closed=row.closed,
        closed_by=row.closed_by,
        reason=row.reason,
    )


def policy(session: Session, tenant: str, model: str) -> Policy:
    """Return the policy of a model; the default where nobody changed it."""
    row = session.get(PolicyRow, (tenant, model))
    if row is None:
        return Policy()
    return Policy(
        budget=row.budget,
        window_rows=row.window_rows,
        votes=row.votes,
        windows=row.windows,
        steady=row.steady,
    )


def _assessment(row: AssessmentRow) -> WindowAssessment:
    return WindowAssessment(
        tenant=row.tenant,
        bundle=row.bundle,
        number=row.number,
        model=row.model,
        version=row.version,
        opened_s=row.opened_s,
        closed_s=row.closed_s,
        rows=row.rows,
        devices=dict(row.devices),
        verdict=Verdict(row.verdict),
        score=row.score,
        limit=row.limit,
        limit_rows=row.limit_rows,
        sentence=row.sentence,
        features=_figures.decode(row.features),
        assessed=row.assessed,
    )
