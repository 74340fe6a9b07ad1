# SPDX-License-Identifier: Apache-2.0
"""Which results go into which file of the prediction log, inside a transaction of the service's.

A file is chosen for results before it is written, and they are marked after; so a
file that was begun and left is written again with the same rows, and no result
is in two.
"""

import secrets
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from insight_cloud.telemetry.log import Logged
from insight_cloud.telemetry.rules import DAY_HOURS
from insight_cloud.telemetry.tables import PredictionRow

MAX_FILE_ROWS = 50_000


class LogFile(NamedTuple):
    """A file of the log that is to be written.

    Attributes:
        day: since the epoch.
    """

    tenant: str
    day: int
    name: str


def claim(session: Session, until_s: float) -> tuple[LogFile, ...]:
    """Choose files for results that came until then, and return all that are not written yet."""
    waiting = select(PredictionRow.tenant, PredictionRow.hour).where(
        PredictionRow.logged.is_(False),
        PredictionRow.file.is_(None),
        PredictionRow.arrived_s <= until_s,
    )
    for tenant, day in sorted(
        {(t, h // DAY_HOURS) for t, h in session.execute(waiting.distinct())}
    ):
        _claim_day(session, tenant, day, until_s)
    begun = select(PredictionRow.tenant, PredictionRow.hour, PredictionRow.file).where(
        PredictionRow.logged.is_(False), PredictionRow.file.is_not(None)
    )
    found = {LogFile(t, h // DAY_HOURS, f) for t, h, f in session.execute(begun.distinct()) if f}
    return tuple(sorted(found))


def rows_of(session: Session, file: LogFile) -> list[Logged]:
    """Return what a file holds; none if another process has written it meanwhile."""
    query = select(PredictionRow).filter_by(tenant=file.tenant, file=file.name, logged=False)
    ordered = query.order_by(PredictionRow.id)
    return [
        Logged(
            id=row.id,
            device=row.device,
            deployment=row.deployment,
            bundle=row.bundle,
            key=None if row.key_subject is None else row.key_subject.partition(":")[2],
            at_s=row.at_s,
            arrived_s=row.arrived_s,
            class_index=row.class_index,
            class_name=row.class_name,
            outputs=row.outputs or "{}",
        )
        for row in session.scalars(ordered)
    ]


def mark_logged(session: Session, file: LogFile) -> None:
    """Note that a file was written; outputs are there from now on."""
    session.execute(
        update(PredictionRow)
        .where(PredictionRow.tenant == file.tenant, PredictionRow.file == file.name)
        .values(logged=True, outputs=None)
    )


def _claim_day(session: Session, tenant: str, day: int, until_s: float) -> None:
    free = (
        PredictionRow.tenant == tenant,
        PredictionRow.logged.is_(False),
        PredictionRow.file.is_(None),
        PredictionRow.arrived_s <= until_s,
    )
    that_day = PredictionRow.hour.between(day * DAY_HOURS, (day + 1) * DAY_HOURS - 1)
    chosen = select(PredictionRow.id).where(*free, that_day).limit(MAX_FILE_ROWS)
    session.execute(
        update(PredictionRow)
        .where(*free, PredictionRow.id.in_(chosen.scalar_subquery()))
        .values(file=secrets.token_hex(8))
    )
