# SPDX-License-Identifier: Apache-2.0
"""Let go of old measurements and of their jobs, inside a transaction of the service's."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, select, tuple_
from sqlalchemy.orm import Session

from insight_cloud.jobs.tables import JobRow, MeasurementRow, MemberRow


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What is kept, and how long.

    Attributes:
        measurements: of one artifact on one device, the newest.
        measurements_for: since they arrived; the newest of an artifact on a device stays.
        jobs_for: since one ended; one with a measurement stays as long as that does.
    """

    measurements: int = 50
    measurements_for: timedelta = timedelta(days=400)
    jobs_for: timedelta = timedelta(days=730)


def let_go(session: Session, keep: Retention, now: datetime) -> None:
    """Delete what is too old or too much.

    The newest measurement of all is the newest of something, so that no number comes twice.
    """
    of_one = MeasurementRow.tenant, MeasurementRow.artifact, MeasurementRow.device
    ranked = select(
        MeasurementRow.tenant,
        MeasurementRow.number,
        MeasurementRow.at,
        func.row_number()
        .over(partition_by=of_one, order_by=MeasurementRow.number.desc())
        .label("place"),
    ).subquery()
    is_old = ranked.c.at < now - keep.measurements_for
    many = ranked.c.place > keep.measurements
    gone = select(ranked.c.tenant, ranked.c.number).where(many | ((ranked.c.place > 1) & is_old))
    named = tuple_(MeasurementRow.tenant, MeasurementRow.number)
    session.execute(delete(MeasurementRow).where(named.in_(gone)))
    _let_jobs_go(session, now - keep.jobs_for)


def _let_jobs_go(session: Session, before: datetime) -> None:
    measured = exists().where(
        MeasurementRow.tenant == JobRow.tenant, MeasurementRow.job == JobRow.id
    )
    over = JobRow.ended.is_not(None) & (JobRow.ended < before) & ~measured
    for tenant, job in session.execute(select(JobRow.tenant, JobRow.id).where(over)).all():
        session.execute(delete(MemberRow).filter_by(tenant=tenant, job=job))
        session.execute(delete(JobRow).filter_by(tenant=tenant, id=job))
