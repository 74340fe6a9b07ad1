# SPDX-License-Identifier: Apache-2.0
"""Turn rows of pipelines into what other rooms see, inside a transaction of the service's."""

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from insight_cloud.pipelines.rules import Policy, Run, RunState, StepSeen, StepState
from insight_cloud.pipelines.tables import PolicyRow, RunRow, StepRow
from insight_cloud.platform.errors import NotFoundError

ACTIVE = tuple(state.value for state in RunState if state.active)


def find(session: Session, tenant: str, run: str) -> RunRow:
    """Return a run.

    Raises:
        NotFoundError: there is no such run.
    """
    row = session.get(RunRow, (tenant, run))
    if row is None:
        raise NotFoundError(f"there is no run '{run[:80]}'")
    return row


def policy_of(session: Session, tenant: str, model: str) -> Policy:
    """Return how a model is retrained; the default where nobody has said."""
    row = session.get(PolicyRow, (tenant, model))
    return Policy() if row is None else msgspec.convert(row.content, Policy)


def run_from_row(session: Session, row: RunRow) -> Run:
    """Return a run with its steps."""
    query = select(StepRow).filter_by(tenant=row.tenant, run=row.id).order_by(StepRow.number)
    return Run(
        id=row.id,
        model=row.model,
        number=row.number,
        state=RunState(row.state),
        because=row.because,
        alarm=row.alarm,
        by=row.by,
        opened=row.opened,
        ended=row.ended,
        version=row.version,
        reason=row.reason,
        policy=msgspec.convert(row.policy, Policy),
        facts=dict(row.facts),
        cancelled_by=row.cancelled_by,
        steps=tuple(map(_step, session.scalars(query))),
    )


def _step(row: StepRow) -> StepSeen:
    return StepSeen(
        name=row.name,
        state=StepState(row.state),
        started=row.started,
        ended=row.ended,
        text=row.text,
        progress=row.progress,
    )
