# SPDX-License-Identifier: Apache-2.0
"""Tell telemetry what people decided: an outcome for each label, and what became of the sample.

Telling twice is telling once: an outcome has the time of its decision, and a later
decision about the same result counts instead of it.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from insight_cloud.labels.rules import TaskState
from insight_cloud.labels.tables import TaskRow
from insight_cloud.telemetry.samples import SampleState
from insight_cloud.telemetry.service import Telemetry
from insight_edge.documents.delivery import Outcome
from insight_edge.errors import DocumentError, WrongDeviceError

NO_LABEL: Final = -0.5
"""Label of an outcome that takes an earlier one back: a number with a fraction is no class."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Owed:
    """A decision that telemetry is to be told.

    Attributes:
        label: None where there is none to be told.
        decided_s: which of the decisions about the task it is.
    """

    tenant: str
    task: str
    device: str
    sample: str
    result: str
    state: TaskState
    label: int | float | None
    by: str
    decided_s: float


def owed(session: Session, limit: int) -> list[Owed]:
    """Return decisions that telemetry is to be told, the first first."""
    query = select(TaskRow).where(TaskRow.owed.is_(True)).order_by(TaskRow.decided_s)
    return [_owed(row) for row in session.scalars(query.limit(limit))]


def tell(telemetry: Telemetry, one: Owed, now: datetime) -> None:
    """Tell telemetry a decision.

    Raises:
        StorageError: it could not be stored; tell it again.
    """
    if one.label is not None:
        outcome = Outcome(
            id=one.result, label=one.label, at_s=one.decided_s, source=f"label:{one.by}"
        )
        try:
            telemetry.record_outcomes(one.device, [outcome], now, tenant=one.tenant)
        except (DocumentError, WrongDeviceError) as error:
            _log.error("the label of task %s can be no outcome: %s", one.task, error)
    finished = one.state is TaskState.FINISHED
    state = SampleState.LABELLED if finished else SampleState.EXPIRED
    telemetry.move_sample(one.device, one.sample, state, now, tenant=one.tenant)


def mark_told(session: Session, one: Owed) -> None:
    """Note that telemetry was told; what was decided in the meantime stays owed."""
    session.execute(
        update(TaskRow)
        .where(
            TaskRow.tenant == one.tenant,
            TaskRow.id == one.task,
            TaskRow.decided_s == one.decided_s,
        )
        .values(owed=False)
    )


def _owed(row: TaskRow) -> Owed:
    return Owed(
        tenant=row.tenant,
        task=row.id,
        device=row.device,
        sample=row.sample,
        result=row.result,
        state=TaskState(row.state),
        label=NO_LABEL if row.label_index is None and row.told else row.label_index,
        by=row.label_by or "",
        decided_s=row.decided_s or 0.0,
    )
