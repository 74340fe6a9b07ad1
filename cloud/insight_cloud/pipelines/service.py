# SPDX-License-Identifier: Apache-2.0
"""The use cases of pipelines, one transaction each: policies, and runs as people see them.

It runs nothing. A worker hosts the runs and records here what they do, so that whoever
looks needs no workflow engine.
"""

import secrets
from datetime import datetime

import msgspec
from sqlalchemy import func, select

from insight_cloud.accounts.audit import note
from insight_cloud.pipelines.reading import ACTIVE, find, policy_of, run_from_row
from insight_cloud.pipelines.recording import end_run
from insight_cloud.pipelines.rollout_plan import plan_of
from insight_cloud.pipelines.rules import Alarm, Policy, Run, RunState, check_policy
from insight_cloud.pipelines.tables import PolicyRow, RunRow
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.platform.schema import TENANT
from insight_cloud.registry.service import Registry

MAX_LISTED = 500


class Pipelines:
    """The retraining of models, in one database.

    Args:
        database: with the tables of this domain.
        registry: that knows which models there are.
    """

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    def policy(self, model: str, *, tenant: str = TENANT) -> Policy:
        """Return how a model is retrained; the default where nobody has said."""
        with self._database.read() as session:
            return policy_of(session, tenant, model)

    def policies(self, *, tenant: str = TENANT) -> dict[str, Policy]:
        """Return how each model is retrained for which somebody has said so."""
        query = select(PolicyRow).filter_by(tenant=tenant).order_by(PolicyRow.model)
        with self._database.read() as session:
            rows = session.scalars(query)
            return {row.model: msgspec.convert(row.content, Policy) for row in rows}

    def set_policy(
        self, model: str, policy: Policy, *, by: str, now: datetime, tenant: str = TENANT
    ) -> None:
        """Say how a model is retrained from now on; a run that is under way keeps its own.

        Raises:
            NotFoundError: there is no such model.
            ConfigurationError: a figure is out of range, or the rollout's plan cannot be meant.
        """
        self._known(model)
        check_policy(policy)
        plan_of(policy.plan)
        content = msgspec.to_builtins(policy)
        with self._database.write() as session:
            session.merge(
                PolicyRow(tenant=tenant, model=model, content=content, by=by, changed=now)
            )
            detail = "automatic" if policy.automatic else "by hand"
            note(session, by=by, action="pipeline.policy", subject=model, now=now, detail=detail,
                 tenant=tenant)  # fmt: skip

    def open(
        self,
        model: str,
        *,
        because: str,
        by: str,
        now: datetime,
        alarm: Alarm | None = None,
        tenant: str = TENANT,
    ) -> Run:
        """Open a run of a model, for a worker to take up.

        Raises:
            NotFoundError: there is no such model.
            ConflictError: one is under way.
        """
        self._known(model)
        with self._database.write() as session:
            mine = select(RunRow).filter_by(tenant=tenant, model=model)
            under_way = session.scalars(mine.where(RunRow.state.in_(ACTIVE))).first()
            if under_way is not None:
                raise ConflictError(
                    f"run {under_way.number} of '{model}' is {under_way.state}",
                    hint="cancel it, or wait for its end",
                )
            latest = select(func.max(RunRow.number)).filter_by(tenant=tenant, model=model)
            row = RunRow(
                tenant=tenant,
                id=secrets.token_hex(8),
                model=model,
                number=(session.scalar(latest) or 0) + 1,
                state=RunState.QUEUED.value,
                because=because,
                alarm=None if alarm is None else alarm.id,
                by=by,
                opened=now,
                ended=None,
                version=None,
                reason="",
                policy=msgspec.to_builtins(policy_of(session, tenant, model)),
                facts={},
                cancelled_by=None,
            )
            session.add(row)
            note(session, by=by, action="pipeline.start", subject=f"{model} {row.number}", now=now,
                 detail=because, tenant=tenant)  # fmt: skip
            session.flush()
            return run_from_row(session, row)

    def cancel(self, run: str, *, by: str, now: datetime, tenant: str = TENANT) -> Run:
        """Ask for the end of a run: at once where no worker has taken it up.

        Raises:
            NotFoundError: there is no such run.
            ConflictError: it has ended.
        """
        with self._database.write() as session:
            row = find(session, tenant, run)
            if not RunState(row.state).active:
                raise ConflictError(f"run {row.number} of '{row.model}' is {row.state} already")
            if row.cancelled_by is None:
                row.cancelled_by = by
                note(session, by=by, action="pipeline.cancel", subject=f"{row.model} {row.number}",
                     now=now, detail="", tenant=tenant)  # fmt: skip
            if row.state == RunState.QUEUED:
                end_run(session, row, RunState.CANCELLED, f"cancelled by {by}", now)
            return run_from_row(session, row)

    def run(self, run: str, *, tenant: str = TENANT) -> Run:
        """Return a run with its steps.

        Raises:
            NotFoundError: there is no such run.
        """
        with self._database.read() as session:
            return run_from_row(session, find(session, tenant, run))

    def runs(
        self,
        model: str | None = None,
        *,
        active: bool = False,
        limit: int = 100,
        tenant: str = TENANT,
    ) -> tuple[Run, ...]:
        """Return runs of one model or all, the newest first; of those only the active ones."""
        query = select(RunRow).filter_by(tenant=tenant)
        if model is not None:
            query = query.filter_by(model=model)
        if active:
            query = query.where(RunRow.state.in_(ACTIVE))
        newest = query.order_by(RunRow.opened.desc(), RunRow.number.desc())
        with self._database.read() as session:
            rows = session.scalars(newest.limit(max(0, min(limit, MAX_LISTED)))).all()
            return tuple(run_from_row(session, row) for row in rows)

    def _known(self, model: str) -> None:
        if not self._registry.versions(model):
            raise NotFoundError(f"there is no model '{model[:80]}'")
