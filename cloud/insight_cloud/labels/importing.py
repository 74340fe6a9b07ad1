# SPDX-License-Identifier: Apache-2.0
"""Take what a labelling tool says of tasks, inside a transaction of the service's."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from insight_cloud.labels import answering, looking
from insight_cloud.labels.label_studio import Given
from insight_cloud.labels.rules import AnswerKind, Label, read_label
from insight_cloud.labels.tables import TaskRow
from insight_edge.errors import InputError, StorageError


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of a file of tasks.

    Attributes:
        taken: labels that are new.
        unchanged: tasks without a choice, or whose label is known already.
        refused: by place in the file, from 0, why a label was not taken.
    """

    taken: int = 0
    unchanged: int = 0
    refused: tuple[tuple[int, str], ...] = ()


def take(
    session: Session, tenant: str, so_far: Imported, given: Given, *, by: str, now: datetime
) -> Imported:
    """Take one label and return what became of all so far."""
    if given.fault is not None:
        return _refused(so_far, given, given.fault)
    if given.choice is None:
        return replace(so_far, unchanged=so_far.unchanged + 1)
    try:
        row = looking.find(session, tenant, given.task)
        label = _label(given.choice, row)
        if _is_known(session, row, label, by):
            return replace(so_far, unchanged=so_far.unchanged + 1)
        answering.refuse_if_taken(row, by, now)
        answering.say(session, row, AnswerKind.LABEL, label, by=by, now=now)
    except StorageError:
        raise
    except InputError as error:
        return _refused(so_far, given, str(error))
    return replace(so_far, taken=so_far.taken + 1)


def _label(choice: str, row: TaskRow) -> Label:
    """Return the class that was chosen; where a model names none, tools show their indices."""
    nameless = not row.classes and choice.isascii() and choice.isdigit() and len(choice) < 10
    return read_label(int(choice) if nameless else choice, row.classes)


def _is_known(session: Session, row: TaskRow, label: Label, by: str) -> bool:
    if row.label_index is not None:
        return row.label_index == label.index
    said = [one for one in looking.answers(session, row.tenant, row.id) if one.by == by]
    return bool(said) and said[-1].label == label


def _refused(so_far: Imported, given: Given, reason: str) -> Imported:
    return replace(so_far, refused=(*so_far.refused, (given.place, reason)))
