# SPDX-License-Identifier: Apache-2.0
"""Find tasks and answers, inside a transaction of the service's."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from insight_cloud.labels.rules import (
    Answer,
    AnswerKind,
    Counts,
    Label,
    Task,
    TaskPage,
    TaskState,
)
from insight_cloud.labels.tables import AnswerRow, ReviewsRow, TaskRow
from insight_cloud.platform.errors import NotFoundError

MAX_PAGE = 500
MAX_NAMED = 1000
"""Labels that are counted one by one, the most frequent."""

Columns = Sequence[InstrumentedAttribute[Any]]
ASKED: Columns = (TaskRow.rank, TaskRow.rank_score, TaskRow.id)
_DECIDED: Columns = (TaskRow.decided_s, TaskRow.id)


def find(session: Session, tenant: str, task: str) -> TaskRow:
    """Return a task.

    Raises:
        NotFoundError: there is no such task.
    """
    row = session.get(TaskRow, (tenant, task))
    if row is None:
        raise NotFoundError(f"there is no task '{task[:80]}'")
    return row


def page(
    session: Session,
    tenant: str,
    state: TaskState,
    *,
    model: str | None,
    after: str | None,
    limit: int,
) -> TaskPage:
    """Return the tasks in a state after one of them.

    Raises:
        NotFoundError: there is no task that they should come after.
    """
    wanted = [TaskRow.tenant == tenant, TaskRow.state == state.value]
    wanted += [] if model is None else [TaskRow.model == model]
    order = ASKED if state is TaskState.OPEN else _DECIDED
    beyond = [] if after is None else [_beyond(order, find(session, tenant, after))]
    limit = max(1, min(limit, MAX_PAGE))
    total = session.scalar(select(func.count()).select_from(TaskRow).where(*wanted)) or 0
    ordered = order if order is ASKED else [column.desc() for column in order]
    query = select(TaskRow).where(*wanted, *beyond).order_by(*ordered).limit(limit + 1)
    rows = session.scalars(query).all()
    tasks = tuple(map(task_from_row, rows[:limit]))
    return TaskPage(tasks=tasks, total=total, after=tasks[-1].id if len(rows) > limit else None)


def answers(session: Session, tenant: str, task: str) -> list[Answer]:
    """Return what was said of a task, the first first."""
    query = select(AnswerRow).filter_by(tenant=tenant, task=task).order_by(AnswerRow.number)
    return [answer_from_row(row) for row in session.scalars(query)]


def reviews(session: Session, tenant: str, model: str) -> int:
    """Return how many people must agree on the inputs of a model."""
    row = session.get(ReviewsRow, (tenant, model))
    return 1 if row is None else row.reviews


def counts(session: Session, tenant: str, model: str) -> Counts:
    """Return how the labelling of a model stands."""
    mine = (TaskRow.tenant == tenant, TaskRow.model == model)
    states = select(TaskRow.state, func.count()).where(*mine).group_by(TaskRow.state)
    found: dict[str, int] = dict(session.execute(states).all())
    several = (*mine, TaskRow.people > 1)
    alike = func.count().filter(TaskRow.agreed.is_(True))
    asked = select(func.count(), alike).where(*several)
    reviewed, agreed = session.execute(asked).one()
    return Counts(
        model=model,
        states={state: found.get(state.value, 0) for state in TaskState},
        labels=_labels(session, mine),
        reviews=reviews(session, tenant, model),
        reviewed=reviewed,
        agreement=agreed / reviewed if reviewed else None,
    )


def task_from_row(row: TaskRow) -> Task:
    """Return what other rooms see of a task."""
    return Task(
        id=row.id,
        device=row.device,
        deployment=row.deployment,
        sample=row.sample,
        result=row.result,
        bundle=row.bundle,
        model=row.model,
        version=row.version,
        classes=tuple(row.classes),
        reason=row.reason,
        score=row.score,
        predicted=(row.predicted_index, row.predicted_name),
        at_s=row.at_s,
        created=row.created,
        state=TaskState(row.state),
        fault=row.fault,
        leased_by=row.leased_by,
        leased_until=row.leased_until,
        people=row.people,
        agreed=row.agreed,
        label=_label(row.label_index, row.label_name),
        label_by=row.label_by,
        decided_s=row.decided_s,
    )


def answer_from_row(row: AnswerRow) -> Answer:
    """Return what other rooms see of an answer."""
    return Answer(
        task=row.task,
        number=row.number,
        by=row.by,
        kind=AnswerKind(row.kind),
        label=_label(row.label_index, row.label_name),
        reason=row.reason,
        at=row.at,
        corrects=row.corrects,
    )


def _label(index: int | None, name: str | None) -> Label | None:
    return None if index is None else Label(index=index, name=name)


def _labels(session: Session, mine: Sequence[ColumnElement[bool]]) -> dict[str, int]:
    named = (TaskRow.label_index, TaskRow.label_name)
    query = select(*named, func.count()).where(*mine, TaskRow.state == TaskState.FINISHED.value)
    ordered = query.group_by(*named).order_by(func.count().desc(), *named).limit(MAX_NAMED)
    found: dict[str, int] = {}
    for index, name, count in session.execute(ordered):
        text = str(index) if name is None else name
        found[text] = found.get(text, 0) + count
    return found


def _beyond(order: Columns, row: TaskRow) -> ColumnElement[bool]:
    here = tuple_(*(getattr(row, column.key) for column in order))
    beyond: ColumnElement[bool] = tuple_(*order) > here if order is ASKED else tuple_(*order) < here
    return beyond
