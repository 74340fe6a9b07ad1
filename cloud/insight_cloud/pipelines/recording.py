# SPDX-License-Identifier: Apache-2.0
"""Write down what a run does, so that doing it again after a crash writes the same.

A step that is done again keeps when it first began, which deadlines are counted from.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import note
from insight_cloud.pipelines.reading import find, run_from_row
from insight_cloud.pipelines.rules import Run, RunState, StepState
from insight_cloud.pipelines.tables import RunRow, StepRow
from insight_cloud.platform.database import Database

MAX_TEXT_LENGTH = 2000


class Recording:
    """What is written of the runs of one tenant."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    def run(self, run: str) -> Run:
        """Return a run.

        Raises:
            NotFoundError: there is no such run.
        """
        with self._database.read() as session:
            return run_from_row(session, find(session, self._tenant, run))

    def begin(self, run: str, name: str, text: str, now: datetime) -> datetime:
        """Note that a step begins, and return when it did for the first time."""
        with self._database.write() as session:
            row = session.get(StepRow, (self._tenant, run, name))
            if row is None:
                row = StepRow(
                    tenant=self._tenant, run=run, name=name, started=now,
                    number=_next_number(session, self._tenant, run),
                )  # fmt: skip
                session.add(row)
            row.state, row.ended, row.text, row.progress = StepState.RUNNING.value, None, text, None
            self._move(session, run, RunState.RUNNING)
            return row.started

    def labels_used(self, model: str) -> int:
        """Return how many labels there were when a version was last trained by a run."""
        trained = select(RunRow).filter_by(tenant=self._tenant, model=model)
        with self._database.read() as session:
            rows = session.scalars(trained.where(RunRow.version.is_not(None)))
            return max((int(row.facts.get("labels", 0)) for row in rows), default=0)

    def tell(self, run: str, name: str, text: str, progress: float | None) -> None:
        """Note how far a step is."""
        with self._database.write() as session:
            session.execute(
                update(StepRow)
                .filter_by(tenant=self._tenant, run=run, name=name)
                .values(text=text[:MAX_TEXT_LENGTH], progress=progress)
            )

    def end(self, run: str, name: str, state: StepState, text: str, now: datetime) -> None:
        """Note what a step did."""
        with self._database.write() as session:
            row = session.get_one(StepRow, (self._tenant, run, name))
            row.state, row.ended, row.text = state.value, now, text[:MAX_TEXT_LENGTH]
            row.progress = 1.0 if state is StepState.DONE else row.progress

    def wait_for_approval(self, run: str) -> None:
        """Note that a run goes on when a person approves."""
        with self._database.write() as session:
            self._move(session, run, RunState.WAITING)

    def keep(self, run: str, facts: dict[str, Any], version: int | None = None) -> None:
        """Keep what a step found."""
        with self._database.write() as session:
            row = find(session, self._tenant, run)
            row.facts = row.facts | facts
            row.version = version or row.version

    def finish(self, run: str, state: RunState, reason: str, now: datetime) -> None:
        """Note how a run ended; one that has ended already stays so."""
        with self._database.write() as session:
            row = find(session, self._tenant, run)
            if RunState(row.state).active:
                end_run(session, row, state, reason, now)

    def _move(self, session: Session, run: str, state: RunState) -> None:
        row = find(session, self._tenant, run)
        if RunState(row.state).active:
            row.state = state.value


def end_run(session: Session, row: RunRow, state: RunState, reason: str, now: datetime) -> None:
    """End a run, and its step that was running."""
    row.state, row.reason, row.ended = state.value, reason[:MAX_TEXT_LENGTH], now
    session.execute(
        update(StepRow)
        .filter_by(tenant=row.tenant, run=row.id, state=StepState.RUNNING.value)
        .values(state=StepState.STOPPED.value, ended=now)
    )
    name = f"{row.model} {row.number}"
    note(session, by=f"pipeline {name}", action="pipeline.end", subject=name, now=now,
         detail=f"{state.value}: {reason}"[:200], tenant=row.tenant)  # fmt: skip


def _next_number(session: Session, tenant: str, run: str) -> int:
    query = select(func.count()).select_from(StepRow).filter_by(tenant=tenant, run=run)
    return (session.scalar(query) or 0) + 1
