# SPDX-License-Identifier: Apache-2.0
"""The use cases of rollouts, one transaction each; `run` takes several, each repeatable.

What devices run is decided by `devices`, which this calls; how they take it is read
from there and from telemetry when the worker calls `run`.
"""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from insight_cloud.devices.selection import Selection
from insight_cloud.devices.service import Devices
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError
from insight_cloud.platform.schema import TENANT
from insight_cloud.registry.service import Registry
from insight_cloud.releases.service import Releases
from insight_cloud.rollouts import recording, storing
from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.reach import Profiles, Reach
from insight_cloud.rollouts.rollout import (
    Decided,
    Event,
    Member,
    Rollout,
    State,
)
from insight_cloud.rollouts.rules import check_action
from insight_cloud.rollouts.starting import prepare
from insight_cloud.rollouts.stepping import step, turn_back
from insight_cloud.rollouts.tables import RolloutRow
from insight_cloud.rollouts.whynot import release_state_of, why_not_by_rollout
from insight_cloud.telemetry.service import Telemetry
from insight_edge.errors import InsightEdgeError

MAX_PAGE = 500
"""Events or decisions that are returned at once."""


class Rollouts:
    """Model versions on their way to the devices of all fleets; threads may share it.

    Args:
        database: with the tables of this release.
        devices, releases, telemetry, registry: over the same database.
        profiles: gives the hardware profiles there are.
    """

    def __init__(
        self,
        database: Database,
        devices: Devices,
        releases: Releases,
        telemetry: Telemetry,
        registry: Registry,
        profiles: Profiles,
    ) -> None:
        self._database = database
        self._registry = registry
        self._reach = Reach(
            database=database,
            devices=devices,
            releases=releases,
            telemetry=telemetry,
            profiles=profiles,
        )

    def start(
        self,
        model: str,
        version: int | str,
        deployment: str,
        *,
        by: str,
        now: datetime,
        selection: Selection | None = None,
        plan: Plan | None = None,
        tenant: str = TENANT,
    ) -> Rollout:
        """Record that a model version should come to a deployment of many devices.

        No device is touched before the worker's next turn.

        Args:
            model: its name.
            version: its number, or an alias.
            deployment: name of the deployment on the devices.
            by: who wants it.
            now: when.
            selection: which devices; all that have the deployment by default.
            plan: waves and gates.
            tenant: whose.

        Raises:
            ConfigurationError: the plan cannot be meant.
            NotFoundError: no bundle of the version is listed, or no device has the deployment or
                is fit for a bundle.
            ConflictError: another rollout of the model to the deployment goes on.
        """
        number = version if isinstance(version, int) else self._aliased(model, version)
        made, members = prepare(
            self._reach,
            (model, number, deployment),
            selection or Selection(),
            plan or Plan(),
            by=by,
            now=now,
            tenant=tenant,
        )
        with self._database.write() as session:
            _refuse_second(session, made)
            row = storing.add_rollout(session, made)
            storing.add_members(session, row, members)
            fit = sum(one.bundle is not None for one in members)
            reason = f"{fit} of {len(members)} devices in {row.waves} waves"
            recording.record(session, row, "start", reason, by=by, now=now)
            return storing.rollout_from_row(row)

    def get(self, rollout: int, *, tenant: str = TENANT) -> Rollout:
        """Return a rollout.

        Raises:
            NotFoundError: there is no such rollout.
        """
        with self._database.read() as session:
            return storing.rollout_from_row(storing.row_of(session, tenant, rollout))

    def list(
        self, *, active: bool | None = None, limit: int = 100, tenant: str = TENANT
    ) -> tuple[Rollout, ...]:
        """Return rollouts, the newest first: all, those that go on, or those that are over."""
        query = select(RolloutRow).filter_by(tenant=tenant).order_by(RolloutRow.id.desc())
        if active is not None:
            goes_on = RolloutRow.state.in_(storing.ACTIVE_STATES)
            query = query.where(goes_on if active else ~goes_on)
        with self._database.read() as session:
            rows = session.scalars(query.limit(_bounded(limit)))
            return tuple(map(storing.rollout_from_row, rows))

    def members(self, rollout: int, *, tenant: str = TENANT) -> tuple[Member, ...]:
        """Return how each device stands in a rollout, by wave and name.

        Raises:
            NotFoundError: there is no such rollout.
        """
        with self._database.read() as session:
            storing.row_of(session, tenant, rollout)
            return storing.members_of(session, tenant, rollout)

    def decisions(
        self, rollout: int, *, limit: int = 100, tenant: str = TENANT
    ) -> tuple[Decided, ...]:
        """Return what was decided, by whom and on which figures, the newest first.

        Raises:
            NotFoundError: there is no such rollout.
        """
        with self._database.read() as session:
            storing.row_of(session, tenant, rollout)
            return recording.decisions_of(session, tenant, rollout, _bounded(limit))

    def events(
        self, rollout: int, *, after: int = 0, limit: int = MAX_PAGE, tenant: str = TENANT
    ) -> tuple[Event, ...]:
        """Return what happened after an event, the oldest first.

        Raises:
            NotFoundError: there is no such rollout.
        """
        with self._database.read() as session:
            storing.row_of(session, tenant, rollout)
            return recording.events_of(session, tenant, rollout, after, _bounded(limit))

    def pause(
        self, rollout: int, *, by: str, now: datetime, reason: str = "", tenant: str = TENANT
    ) -> Rollout:
        """Ask no further device and decide nothing until somebody resumes it.

        Raises:
            NotFoundError: there is no such rollout.
            ConflictError: it is not running.
        """
        with self._database.write() as session:
            row = _allowed(session, tenant, rollout, "pause")
            row.state = State.PAUSED.value
            recording.record(session, row, "pause", _said("paused", by, reason), by=by, now=now)
            return storing.rollout_from_row(row)

    def resume(
        self,
        rollout: int,
        *,
        by: str,
        now: datetime,
        reason: str = "",
        waive: bool = False,
        tenant: str = TENANT,
    ) -> Rollout:
        """Go on, with a new deadline for the wave.

        Args:
            rollout: its number.
            by: who wants it.
            now: when.
            reason: one line.
            waive: the wave need not show more than it has; a breach goes back all the same.
            tenant: whose.

        Raises:
            NotFoundError: there is no such rollout.
            ConflictError: it is not paused.
        """
        with self._database.write() as session:
            row = _allowed(session, tenant, rollout, "resume")
            row.state, row.waived = State.RUNNING.value, waive
            row.deadline = now + _deadline(row)
            how = "resumed, what is lacking waived," if waive else "resumed"
            recording.record(session, row, "resume", _said(how, by, reason), by=by, now=now)
            return storing.rollout_from_row(row)

    def abort(
        self, rollout: int, *, by: str, now: datetime, reason: str = "", tenant: str = TENANT
    ) -> Rollout:
        """Stop for good and leave every device as it is.

        Raises:
            NotFoundError: there is no such rollout.
            ConflictError: it is over.
        """
        with self._database.write() as session:
            row = _allowed(session, tenant, rollout, "abort")
            recording.record(session, row, "abort", _said("aborted", by, reason), by=by, now=now)
            row.state, row.deadline = State.ABORTED.value, None
            return storing.rollout_from_row(row)

    def roll_back(
        self, rollout: int, *, by: str, now: datetime, reason: str = "", tenant: str = TENANT
    ) -> Rollout:
        """Bring every device that was asked back to the bundle it had, by a higher revision.

        Raises:
            NotFoundError: there is no such rollout.
            ConflictError: it is rolled back already, or another of its kind goes on since.
        """
        with self._database.write() as session:
            row = _allowed(session, tenant, rollout, "roll_back")
            _refuse_second(session, storing.rollout_from_row(row))
            why = _said("rolled back", by, reason)
            recording.record(session, row, "roll_back", why, by=by, now=now)
            turn_back(session, row, now)
            return storing.rollout_from_row(row)

    def run(self, now: datetime) -> int:
        """Take each rollout that goes on one step further, and return how many those are.

        It may be repeated at any time and by several workers at once.

        Raises:
            InsightEdgeError: the first of what went wrong; every other rollout had its turn.
        """
        query = select(RolloutRow.tenant, RolloutRow.id).where(
            RolloutRow.state.in_(storing.ACTIVE_STATES)
        )
        with self._database.read() as session:
            active = session.execute(query.order_by(RolloutRow.tenant, RolloutRow.id)).all()
        failed: list[InsightEdgeError] = []
        for tenant, rollout in active:
            try:
                step(self._reach, tenant, rollout, now)
            except InsightEdgeError as error:
                failed.append(error)
        if failed:
            raise failed[0]
        return len(active)

    def why_not(self, device: str, deployment: str, *, tenant: str = TENANT) -> str | None:
        """Return in one sentence why a deployment is not updated; None where it is.

        Raises:
            NotFoundError: there is no such device.
        """
        known = self._reach.devices.device(device, tenant=tenant)
        with self._database.read() as session:
            newest = storing.newest_of(session, tenant, device, deployment)
        by_device = self._reach.devices.not_updated_reason(
            device,
            deployment,
            profile=self._reach.profiles().get(known.profile),
            release_state=None if newest is None else release_state_of(*newest),
            tenant=tenant,
        )
        if newest is None:
            wanted, _ = self._reach.assigned(device, deployment, tenant)
            none = f"No rollout wants anything of '{deployment}' on it"
            return by_device if wanted or known.retired else f"{none}, and nothing was assigned."
        return (None if known.retired else why_not_by_rollout(*newest)) or by_device

    def _aliased(self, model: str, alias: str) -> int:
        if alias.isdigit():
            return int(alias)
        return self._registry.version(model, alias).number


def _allowed(session: Session, tenant: str, rollout: int, action: str) -> RolloutRow:
    row = storing.row_of(session, tenant, rollout)
    check_action(storing.rollout_from_row(row), action)
    return row


def _refuse_second(session: Session, rollout: Rollout) -> None:
    """Refuse a rollout beside another of the same model to the same deployment."""
    other = session.scalars(
        select(RolloutRow)
        .filter_by(tenant=rollout.tenant, model=rollout.model, deployment=rollout.deployment)
        .where(RolloutRow.state.in_(storing.ACTIVE_STATES), RolloutRow.id != rollout.id)
    ).first()
    if other is not None:
        raise ConflictError(
            f"rollout {other.id} brings {other.model}:{other.version} to '{other.deployment}' and "
            f"is {other.state}",
            hint="wait for it, abort it or roll it back",
        )


def _deadline(row: RolloutRow) -> timedelta:
    return timedelta(seconds=storing.rollout_from_row(row).plan.deadline_s)


def _said(what: str, by: str, reason: str) -> str:
    text = " ".join(reason.split())
    return f"{what} by {by}{f': {text}' if text else ''}"


def _bounded(limit: int) -> int:
    return max(0, min(limit, MAX_PAGE))
