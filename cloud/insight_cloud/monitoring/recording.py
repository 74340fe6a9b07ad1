# SPDX-License-Identifier: Apache-2.0
"""Write down what a segment says and what it does to the alarm, in one transaction of the service.

A segment that is written down is never judged again: its number is the key.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import note
from insight_cloud.monitoring.alarm import figures_of
from insight_cloud.monitoring.rules import JUDGED, MAX_VOTES, Change, Policy, change
from insight_cloud.monitoring.tables import AlarmRow, AssessmentRow
from insight_cloud.monitoring.watched import Watched
from insight_cloud.telemetry.segments import Segment
from insight_edge.stats.assess import Assessment, Verdict
from insight_edge.stats.threshold import Threshold

BY = "monitoring"
"""Who opens alarms, and closes those that are over."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A segment and what it says.

    Attributes:
        outcomes: how right answers are as far as it is known.
    """

    watched: Watched
    segment: Segment
    policy: Policy
    assessment: Assessment
    threshold: Threshold | None
    outcomes: str


def record(session: Session, judged: Judged, now: datetime) -> bool:
    """Write a segment down; False where somebody did already."""
    segment = judged.segment
    if newest(session, segment.tenant, segment.bundle) >= segment.number:
        return False
    session.add(_row(judged, now))
    session.flush()
    if judged.assessment.verdict in JUDGED:
        _vote(session, judged, now)
    return True


def newest(session: Session, tenant: str, bundle: str) -> int:
    """Return the number of the newest segment of a bundle that was judged; 0 before the first."""
    query = select(func.max(AssessmentRow.number)).filter_by(tenant=tenant, bundle=bundle)
    return session.scalar(query) or 0


def open_alarm(session: Session, tenant: str, bundle: str) -> AlarmRow | None:
    """Return the alarm of a bundle that is open."""
    query = select(AlarmRow).filter_by(tenant=tenant, bundle=bundle, closed=None)
    return session.scalars(query.order_by(AlarmRow.id).limit(1)).first()


def close(
    session: Session,
    alarm: AlarmRow,
    *,
    by: str,
    reason: str,
    outcomes: str,
    now: datetime,
) -> None:
    """Close an alarm; windows until now have no vote in the next one."""
    alarm.closed, alarm.closed_by, alarm.reason = now, by, reason
    alarm.outcomes = outcomes
    alarm.last = newest(session, alarm.tenant, alarm.bundle)
    action = "alarm.close" if by == BY else "alarm.acknowledge"
    subject = f"alarm {alarm.id}"
    note(
        session, by=by, action=action, subject=subject, now=now, detail=reason, tenant=alarm.tenant
    )


def _vote(session: Session, judged: Judged, now: datetime) -> None:
    segment, policy = judged.segment, judged.policy
    alarm = open_alarm(session, segment.tenant, segment.bundle)
    after = _last_closed(session, segment) if alarm is None else alarm.segment
    windows = _votes(session, segment, after)
    verdicts = [Verdict(row.verdict) for row in windows]
    done = change(verdicts, policy, is_open=alarm is not None)
    if done is Change.OPEN:
        first = next(row for row in windows[-policy.windows :] if row.verdict == Verdict.DRIFTED)
        _open(session, judged, first, now)
    elif done is Change.CLOSE and alarm is not None:
        close(
            session,
            alarm,
            by=BY,
            reason=f"{policy.steady} steady windows in a row",
            outcomes=judged.outcomes,
            now=now,
        )


def _last_closed(session: Session, segment: Segment) -> int:
    """Return the segment after which windows vote: the newest when an alarm was closed last."""
    whose = {"tenant": segment.tenant, "bundle": segment.bundle}
    return session.scalar(select(func.max(AlarmRow.last)).filter_by(**whose)) or 0


def _votes(session: Session, segment: Segment, after: int) -> list[AssessmentRow]:
    """Return the last judged windows after a segment, the newest last."""
    query = (
        select(AssessmentRow)
        .filter_by(tenant=segment.tenant, bundle=segment.bundle)
        .where(AssessmentRow.number > after, AssessmentRow.verdict.in_([v.value for v in JUDGED]))
        .order_by(AssessmentRow.number.desc())
        .limit(MAX_VOTES)
    )
    return list(session.scalars(query))[::-1]


def _open(session: Session, judged: Judged, first: AssessmentRow, now: datetime) -> None:
    segment, model = judged.segment, judged.watched.model
    last = session.scalar(select(func.max(AlarmRow.id)).filter_by(tenant=segment.tenant))
    alarm = AlarmRow(
        tenant=segment.tenant,
        id=(last or 0) + 1,
        bundle=segment.bundle,
        model=model.name,
        version=model.version,
        opened=now,
        first=first.number,
        first_s=first.opened_s,
        segment=segment.number,
        sentence=judged.assessment.sentence,
        outcomes=judged.outcomes,
    )
    session.add(alarm)
    note(
        session,
        by=BY,
        action="alarm.open",
        subject=f"alarm {alarm.id}",
        now=now,
        detail=f"{model.name}:{model.version}: {alarm.sentence}",
        tenant=segment.tenant,
    )


def _row(judged: Judged, now: datetime) -> AssessmentRow:
    segment, assessment, model = judged.segment, judged.assessment, judged.watched.model
    figures = [figures_of(finding) for finding in assessment.findings]
    return AssessmentRow(
        tenant=segment.tenant,
        bundle=segment.bundle,
        number=segment.number,
        model=model.name,
        version=model.version,
        opened_s=segment.opened_s,
        closed_s=segment.closed_s,
        rows=segment.rows,
        devices=dict(segment.devices),
        verdict=assessment.verdict.value,
        score=assessment.score,
        limit=assessment.limit,
        limit_rows=None if judged.threshold is None else judged.threshold.window_rows,
        sentence=assessment.sentence,
        features=msgspec.json.encode(figures).decode(),
        assessed=now,
    )
