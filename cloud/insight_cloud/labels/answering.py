# SPDX-License-Identifier: Apache-2.0
"""Give tasks to people and take their answers, inside a transaction of the service's.

Writes take the database's lock when they begin, so of two who ask at once each is
given another task.
"""

from datetime import datetime

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import note
from insight_cloud.labels import looking
from insight_cloud.labels.rules import (
    LEASE,
    MAX_ANSWERS,
    Answer,
    AnswerKind,
    Label,
    TaskState,
    verdict,
)
from insight_cloud.labels.tables import AnswerRow, TaskRow
from insight_cloud.platform.errors import ConflictError

_LATER_S = 0.001
"""A decision is later than the one before, whatever the clock says."""


def give(
    session: Session, tenant: str, by: str, model: str | None, now: datetime
) -> TaskRow | None:
    """Return the task that somebody is asked next, leased to them; None without any.

    It is the one they have already, or the most telling that nobody has and they have said
    nothing of.
    """
    said = exists().where(
        AnswerRow.tenant == TaskRow.tenant, AnswerRow.task == TaskRow.id, AnswerRow.by == by
    )
    free = or_(TaskRow.leased_until.is_(None), TaskRow.leased_until <= now, TaskRow.leased_by == by)
    wanted = [TaskRow.tenant == tenant, TaskRow.state == TaskState.OPEN.value, ~said, free]
    wanted += [] if model is None else [TaskRow.model == model]
    mine = (TaskRow.leased_by == by) & (TaskRow.leased_until > now)
    order = (mine.is_(True).desc(), *looking.ASKED)
    row = session.scalars(select(TaskRow).where(*wanted).order_by(*order).limit(1)).first()
    if row is not None:
        row.leased_by, row.leased_until = by, now + LEASE
    return row


def refuse_if_taken(row: TaskRow, by: str, now: datetime) -> None:
    """Refuse an answer to a task that is decided, or that somebody else is looking at.

    Raises:
        ConflictError: it is.
    """
    if row.state != TaskState.OPEN:
        raise ConflictError(f"task '{row.id}' is {row.state}", hint="correct it instead")
    if row.leased_until is not None and row.leased_until > now and row.leased_by != by:
        raise ConflictError(
            f"'{row.leased_by}' is looking at task '{row.id}'", hint="ask for the next one"
        )


def refuse_if_undecided(row: TaskRow) -> None:
    """Refuse to correct what was not decided by people.

    Raises:
        ConflictError: it was not.
    """
    if row.state not in {TaskState.FINISHED, TaskState.UNUSABLE}:
        raise ConflictError(f"task '{row.id}' is {row.state}: there is nothing to correct")


def say(
    session: Session,
    row: TaskRow,
    kind: AnswerKind,
    label: Label | None,
    *,
    by: str,
    now: datetime,
    reason: str = "",
    corrects: bool = False,
) -> None:
    """Write down an answer, and what all of them come to now.

    Raises:
        ConflictError: too much was said of the task already.
    """
    if row.answers >= MAX_ANSWERS:
        raise ConflictError(f"task '{row.id}' has {MAX_ANSWERS} answers and takes no more")
    row.answers += 1
    answer = AnswerRow(
        tenant=row.tenant,
        task=row.id,
        number=row.answers,
        by=by,
        kind=kind.value,
        label_index=None if label is None else label.index,
        label_name=None if label is None else label.name,
        reason=reason,
        at=now,
        corrects=corrects,
    )
    session.add(answer)
    session.flush()
    row.leased_by = row.leased_until = None
    said = looking.answer_from_row(answer)
    decide(session, row, looking.reviews(session, row.tenant, row.model), by=by, now=now)
    note(
        session,
        by=by,
        action="label.correct" if corrects else f"label.{_VERBS[kind]}",
        subject=row.id,
        now=now,
        detail=_detail(row, said),
        tenant=row.tenant,
    )


def decide(session: Session, row: TaskRow, needed: int, *, by: str, now: datetime) -> None:
    """Bring a task to what its answers come to."""
    found = verdict(looking.answers(session, row.tenant, row.id), needed)
    row.people, row.agreed = found.people, found.agreed
    if found.state is TaskState.OPEN:
        return
    row.state, row.label_by = found.state.value, by
    row.label_index = None if found.label is None else found.label.index
    row.label_name = None if found.label is None else found.label.name
    row.decided_s = max(now.timestamp(), (row.decided_s or 0.0) + _LATER_S)
    row.owed = True
    row.told = row.told or found.state is TaskState.FINISHED


_VERBS = {
    AnswerKind.LABEL: "answer",
    AnswerKind.SKIP: "skip",
    AnswerKind.UNUSABLE: "unusable",
}


def _detail(row: TaskRow, said: Answer) -> str:
    what = said.kind.value if said.label is None else f"'{said.label.text}'"
    because = f": {said.reason}" if said.reason else ""
    return f"{row.model}:{row.version} {what}{because}"
