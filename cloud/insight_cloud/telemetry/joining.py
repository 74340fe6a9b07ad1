# SPDX-License-Identifier: Apache-2.0
"""Join results with what came true, and count, inside a transaction of the service's."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session, aliased

from insight_cloud.telemetry.classes import same_class
from insight_cloud.telemetry.tables import OutcomeRow, PredictionRow


@dataclass(frozen=True, kw_only=True)
class Joined:
    """The sampled results of one hour, by how they turned out.

    Attributes:
        hour: since the epoch.
        predictions: results that were sampled.
        outcomes: of these, known by now how they turned out.
        judged: of these, comparable: both sides name a class.
        correct: of these, right.
    """

    hour: int
    predictions: int = 0
    outcomes: int = 0
    judged: int = 0
    correct: int = 0


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Results of one hour with one class predicted and one true."""

    hour: int
    predicted: tuple[int | None, str | None]
    true: tuple[int | None, str | None]
    known: bool
    count: int


def joined(
    session: Session, tenant: str, bundle: str, classes: Sequence[str], since: int
) -> tuple[Joined, ...]:
    """Return how the results of a bundle turned out, from an hour on, each hour alone."""
    return judge(_cells(session, tenant, bundle, since), classes)


def judge(cells: Iterable[Cell], classes: Sequence[str]) -> tuple[Joined, ...]:
    """Return the counts of the cells, by hour. Pure."""
    hours: defaultdict[int, list[Cell]] = defaultdict(list)
    for cell in cells:
        hours[cell.hour].append(cell)
    return tuple(_judged(hour, hours[hour], classes) for hour in sorted(hours))


def _judged(hour: int, cells: Sequence[Cell], classes: Sequence[str]) -> Joined:
    total = Joined(hour=hour)
    for cell in cells:
        same = same_class(cell.predicted, cell.true, classes) if cell.known else None
        total = replace(
            total,
            predictions=total.predictions + cell.count,
            outcomes=total.outcomes + cell.known * cell.count,
            judged=total.judged + (same is not None) * cell.count,
            correct=total.correct + (same is True) * cell.count,
        )
    return total


def _cells(session: Session, tenant: str, bundle: str, since: int) -> list[Cell]:
    """Count in the database, so that no result is read; an outcome by id goes before one by key."""
    result, by_id, by_key = PredictionRow, aliased(OutcomeRow), aliased(OutcomeRow)
    found = by_id.subject.is_not(None)
    columns = (
        result.hour,
        result.class_index,
        result.class_name,
        case((found, by_id.class_index), else_=by_key.class_index).label("true_index"),
        case((found, by_id.class_name), else_=by_key.class_name).label("true_name"),
        func.coalesce(by_id.subject, by_key.subject).is_not(None).label("known"),
    )
    query = (
        select(*columns, func.count())
        .select_from(result)
        .outerjoin(by_id, and_(by_id.tenant == result.tenant, by_id.subject == result.id))
        .outerjoin(
            by_key, and_(by_key.tenant == result.tenant, by_key.subject == result.key_subject)
        )
        .where(result.tenant == tenant, result.bundle == bundle, result.hour >= since)
        .group_by(*columns)
    )
    return [
        Cell(hour=hour, predicted=(index, name), true=(t_index, t_name), known=bool(known), count=n)
        for hour, index, name, t_index, t_name, known, n in session.execute(query)
    ]
