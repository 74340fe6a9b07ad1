# SPDX-License-Identifier: Apache-2.0
"""The use cases of jobs, one transaction each; `follow` takes several, each repeatable.

It connects to nothing: whoever publishes signs what `follow` returns and confirms it
with `told`, and whoever listens to the broker hands results over with `take`.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import note
from insight_cloud.devices.device import Query
from insight_cloud.devices.looking import MAX_PAGE
from insight_cloud.devices.selection import Selection, selected
from insight_cloud.devices.service import Devices
from insight_cloud.jobs import measurements, storing, taking
from insight_cloud.jobs.following import follow, open_jobs
from insight_cloud.jobs.job import (
    OPEN,
    Job,
    Measured,
    Member,
    MemberState,
    Receipt,
    Terms,
    Wanted,
)
from insight_cloud.jobs.retention import Retention, let_go
from insight_cloud.jobs.starting import prepare
from insight_cloud.jobs.tables import JobRow, MemberRow
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.platform.schema import TENANT
from insight_cloud.registry.service import Registry
from insight_cloud.releases.rules import State as ReleaseState
from insight_cloud.releases.service import Releases
from insight_edge.documents.codec import digest
from insight_edge.documents.job import Job as Order
from insight_edge.documents.result import BenchResult
from insight_edge.documents.topics import Topic
from insight_edge.errors import ConfigurationError, InsightEdgeError

MAX_JOBS = 500
"""Jobs or measurements that are returned at once."""

MAX_KEY = 200


class Jobs:
    """What the devices of all fleets are asked to do once; threads may share it.

    Args:
        database: with the tables of this release.
        devices, releases, registry: over the same database.
    """

    def __init__(
        self, database: Database, devices: Devices, releases: Releases, registry: Registry
    ) -> None:
        self._database = database
        self._devices = devices
        self._releases = releases
        self._registry = registry

    def bench(
        self,
        bundle: str,
        *,
        by: str,
        now: datetime,
        selection: Selection | None = None,
        terms: Terms | None = None,
        key: str | None = None,
        tenant: str = TENANT,
    ) -> Job:
        """Ask devices to time the variants of a bundle; they are told at the worker's next turn.

        Args:
            bundle: digest of its manifest.
            by: who wants it.
            now: when.
            selection: which devices; those of the bundle's profile by default.
            terms: how it is timed, on how many of them.
            key: whoever asks again with it gets the job that there is.
            tenant: whose.

        Raises:
            ConfigurationError: the terms or the key cannot be meant.
            NotFoundError: no such bundle was published, or no device is meant.
            ConflictError: no device may install the bundle, or none that is meant is fit.
        """
        if key is not None:
            if not 1 <= len(key) <= MAX_KEY:
                raise ConfigurationError(f"a key has 1 to {MAX_KEY} characters")
            with self._database.read() as session:
                if known := storing.keyed(session, tenant, key):
                    return known
        meant = selection or Selection(profile=self._releases.release(bundle).profile)
        job, members = prepare(
            self._releases,
            self._devices,
            bundle,
            meant,
            terms or Terms(),
            by=by,
            now=now,
            tenant=tenant,
        )
        with self._database.write() as session:
            if key is not None and (known := storing.keyed(session, tenant, key)):
                return known
            row = storing.add_job(session, job, members, key)
            _note(session, row, "bench", ", ".join(one.device for one in members), by, now)
            return storing.job_from_row(row)

    def bundle_of(
        self,
        model: str,
        version: int | str,
        selection: Selection | None = None,
        *,
        tenant: str = TENANT,
    ) -> str:
        """Return the one listed bundle of a model version that is for the devices that are meant.

        Args:
            model: its name.
            version: its number, or an alias.
            selection: which devices; all by default.
            tenant: whose.

        Raises:
            NotFoundError: there is none, or no device of a name.
            ConfigurationError: there are several.
        """
        number = version if isinstance(version, int) else self._aliased(model, version)
        listed = {
            one.profile: one.bundle
            for one in reversed(self._releases.releases(model))
            if one.version == number and one.state is ReleaseState.LISTED
        }
        if not listed:
            hint = "publish one: insight-cloud release publish"
            raise NotFoundError(f"no bundle of {model}:{number} is listed", hint=hint)
        if len(listed) > 1:
            meant = selected(self._devices, selection or Selection(), tenant)
            here = {one.profile for one in meant} & listed.keys()
            listed = {profile: listed[profile] for profile in sorted(here or listed)}
        if len(listed) > 1:
            raise ConfigurationError(
                f"{model}:{number} has bundles for {', '.join(listed)}",
                hint=f"choose one: --on profile:{next(iter(listed))}",
            )
        return next(iter(listed.values()))

    def get(self, job: str, *, tenant: str = TENANT) -> Job:
        """Return a job.

        Raises:
            NotFoundError: there is no such job.
        """
        with self._database.read() as session:
            return storing.job_from_row(storing.row_of(session, tenant, job))

    def list(
        self,
        *,
        active: bool | None = None,
        bundle: str | None = None,
        limit: int = 100,
        tenant: str = TENANT,
    ) -> tuple[Job, ...]:
        """Return jobs, the newest first: all, those that go on or those that are over."""
        query = select(JobRow).filter_by(tenant=tenant)
        if active is not None:
            query = query.where(JobRow.ended.is_(None) if active else JobRow.ended.is_not(None))
        if bundle is not None:
            query = query.where(JobRow.bundle == bundle)
        ordered = query.order_by(JobRow.created.desc(), JobRow.id).limit(_bounded(limit))
        with self._database.read() as session:
            return tuple(map(storing.job_from_row, session.scalars(ordered)))

    def members(self, job: str, *, tenant: str = TENANT) -> tuple[Member, ...]:
        """Return how each device stands in a job, by name.

        Raises:
            NotFoundError: there is no such job.
        """
        with self._database.read() as session:
            storing.row_of(session, tenant, job)
            return storing.members_of(session, tenant, job)

    def results(self, job: str, *, tenant: str = TENANT) -> tuple[BenchResult, ...]:
        """Return what the devices of a job measured; raises as `measured`."""
        return tuple(one.result for one in self.measured(job, tenant=tenant))

    def figures(self, job: str, *, tenant: str = TENANT) -> tuple[BenchResult, ...]:
        """Return what the devices of a job measured, without samples; raises as `measured`."""
        with self._database.read() as session:
            storing.row_of(session, tenant, job)
            return measurements.figures_of(session, tenant, job)

    def measured(self, job: str, *, tenant: str = TENANT) -> tuple[Measured, ...]:
        """Return what the devices of a job measured, by variant and device, as it is kept.

        Raises:
            NotFoundError: there is no such job.
        """
        with self._database.read() as session:
            storing.row_of(session, tenant, job)
            return measurements.of_job(session, tenant, job)

    def of_device(
        self, device: str, *, limit: int = 20, tenant: str = TENANT
    ) -> tuple[tuple[Job, Member], ...]:
        """Return the jobs that a device was asked to do, the newest first, and how it stands."""
        of_job = (MemberRow.tenant == JobRow.tenant) & (MemberRow.job == JobRow.id)
        query = (
            select(JobRow, MemberRow)
            .join(MemberRow, of_job)
            .where(JobRow.tenant == tenant, MemberRow.device == device)
            .order_by(JobRow.created.desc(), JobRow.id)
        )
        with self._database.read() as session:
            found = session.execute(query.limit(_bounded(limit))).all()
            return tuple(
                (storing.job_from_row(job), storing.member_from_row(member))
                for job, member in found
            )

    def measurements(
        self,
        wanted: Wanted | None = None,
        *,
        after: int = 0,
        limit: int = 100,
        tenant: str = TENANT,
    ) -> tuple[Measured, ...]:
        """Return measurements of all jobs that come after a number, in order."""
        with self._database.read() as session:
            return measurements.found(
                session, tenant, wanted or Wanted(), after=after, limit=_bounded(limit)
            )

    def online_of(self, profile: str, *, tenant: str = TENANT) -> tuple[str, ...]:
        """Return the devices of a profile that are there and not held, by name, so many at most."""
        query = Query(profile=profile, online=True, held=False)
        page = self._devices.devices(query, limit=MAX_PAGE, tenant=tenant)
        return tuple(one.name for one in page.devices)

    def withdraw(
        self, job: str, *, by: str, now: datetime, reason: str = "", tenant: str = TENANT
    ) -> Job:
        """Take a job back: who was not told is not told, the others are told to stop.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it is over, or was withdrawn before.
        """
        with self._database.write() as session:
            row = storing.row_of(session, tenant, job)
            if row.ended is not None or row.withdrawn is not None:
                raise ConflictError(f"job {row.id} is {row.state}")
            row.withdrawn = now
            for one in storing.members_of(session, tenant, job):
                storing.change_member(session, row, _withdrawn(one, now))
            storing.settle(session, row, now)
            _note(session, row, "withdraw", " ".join(reason.split()), by, now)
            return storing.job_from_row(row)

    def take(self, messages: Sequence[tuple[Topic, bytes]], now: datetime) -> Sequence[Receipt]:
        """Keep what came of jobs, each once, and return a receipt for every message.

        All of it is committed when this returns: every digest may be acknowledged, also of what
        is not believed, which the caller puts away.

        Raises:
            StorageError: nothing was kept; hand the messages over again.
        """
        if not messages:
            return ()
        with self._database.write() as session:
            return [_taken(session, topic, payload, now) for topic, payload in messages]

    def follow(self, now: datetime) -> tuple[Order, ...]:
        """Take each job further by what its devices say, and return what is to be said to them.

        It may be repeated at any time. A job whose bundle no device may fetch any more is
        withdrawn.
        """
        for job, _ in open_jobs(self._database):
            state = self._releases.release(job.bundle).state
            if job.withdrawn is None and state is not ReleaseState.LISTED:
                why = f"its bundle is {state.value}"
                self.withdraw(job.id, by="worker", now=now, reason=why, tenant=job.tenant)
        return follow(self._database, self._devices, now)

    def told(self, order: Order, now: datetime) -> None:
        """Note that the broker has what a device is to be told."""
        with self._database.write() as session:
            row = storing.row_of(session, order.tenant, order.id)
            member = storing.member_of(session, order.tenant, order.id, order.device)
            if member is None or member.state not in OPEN:
                return
            waited = member.state is MemberState.WAITING
            state = MemberState.TOLD if waited else member.state
            why = "" if waited else member.why
            first = member.told or now
            after = replace(member, state=state, why=why, told=first, said=now)
            storing.change_member(session, row, after)
            storing.settle(session, row, now)

    def forget(self, now: datetime, keep: Retention | None = None) -> None:
        """Let go of measurements that are too old or too many, and of old jobs without any."""
        with self._database.write() as session:
            let_go(session, keep or Retention(), now)

    def _aliased(self, model: str, alias: str) -> int:
        if alias.isdecimal():
            return int(alias)
        return self._registry.version(model, alias).number


def _taken(session: Session, topic: Topic, payload: bytes, now: datetime) -> Receipt:
    name = digest(payload)
    try:
        result, documents = taking.read(topic, payload)
        taking.keep(session, topic.tenant, result, documents, name, now)
    except InsightEdgeError as error:
        return Receipt(digest=name, fault=(type(error).__name__, str(error)))
    return Receipt(digest=name)


def _withdrawn(member: Member, now: datetime) -> Member:
    """Return how a device stands in a job that is taken back now."""
    if member.state is MemberState.WAITING:
        return replace(
            member, state=MemberState.WITHDRAWN, why="it was not told", ended=now, said=None
        )
    return replace(member, said=None) if member.state in OPEN else member


def _note(session: Session, row: JobRow, action: str, detail: str, by: str, now: datetime) -> None:
    note(
        session,
        by=by,
        action=f"job.{action}",
        subject=f"job/{row.id}",
        now=now,
        detail=f"{row.bundle[:19]} of {row.model}:{row.version} for {row.profile}: {detail}",
        tenant=row.tenant,
    )


def _bounded(limit: int) -> int:
    return max(0, min(limit, MAX_JOBS))
