# SPDX-License-Identifier: Apache-2.0
"""The use cases of builds: compile a version for a profile, once, and say what came of it.

A failure is a recorded build with its reason. A build of a process that was killed is
found running by the next, which records that and builds again.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import note
from insight_cloud.builds.compiling import (
    MODEL_FILES,
    Compiled,
    Compiler,
    Order,
    Settlement,
    Wishes,
)
from insight_cloud.builds.profiles import profile_source
from insight_cloud.builds.rules import Build, BuildState, TrialSummary
from insight_cloud.builds.tables import BuildRow
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.platform.schema import TENANT
from insight_cloud.registry.description import numbered
from insight_cloud.registry.rules import ModelVersion
from insight_cloud.registry.service import Registry
from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.errors import InsightEdgeError

MAX_LISTED = 500
OVERTAKEN = "the process that built it ended"

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


class Builds:
    """Compilations for the fleet.

    Args:
        database: with the table of builds.
        registry: of what is compiled.
        compiler: that compiles.
        profiles: folder of this installation's own hardware profiles.
    """

    def __init__(
        self, database: Database, registry: Registry, compiler: Compiler, profiles: Path
    ) -> None:
        self._database = database
        self._registry = registry
        self._compiler = compiler
        self._profiles = profiles

    def queue(
        self,
        model: str,
        version: int,
        profiles: Sequence[str],
        *,
        by: str,
        now: datetime,
        tenant: str = TENANT,
    ) -> None:
        """Note that a version will be compiled for some profiles, where it is not already.

        Raises:
            NotFoundError: there is no such version or profile.
        """
        found = self._registry.version(model, version)
        for profile in profiles:
            profile_source(self._profiles, profile)
        with self._database.write() as session:
            for profile in profiles:
                last = _last(session, tenant, model, version, profile)
                if last is None or last.state == BuildState.FAILED:
                    session.add(_row(found, profile, last, now, tenant))
                    subject = f"{found.label} for {profile}"
                    note(session, by=by, action="build.queue", subject=subject, now=now,
                         detail="", tenant=tenant)  # fmt: skip

    def compile(
        self,
        model: str,
        version: int,
        profile: str,
        *,
        clock: Clock,
        by: str,
        wishes: Wishes | None = None,
        pulse: Callable[[], None] = lambda: None,
        tenant: str = TENANT,
    ) -> Build:
        """Return the build of a version for a profile: the one that is done, or a new attempt.

        Args:
            model: its name.
            version: its number.
            profile: id of a hardware profile.
            clock: says when.
            by: who wants it.
            wishes: what is not as usual.
            pulse: called while the compiler runs; may raise to stop it.
            tenant: whose.

        Raises:
            NotFoundError: there is no such version or profile.
            StorageError: the disk cannot be written.
        """
        done = self._done(model, version, profile, tenant)
        if done is not None:
            return done
        self.queue(model, version, [profile], by=by, now=clock(), tenant=tenant)
        attempt = self._begin(model, version, profile, clock(), tenant)
        key = (tenant, model, version, profile, attempt)
        order = Order(
            files=self._files(model, version),
            profile=profile_source(self._profiles, profile),
            wishes=wishes or Wishes(),
        )
        try:
            compiled = self._compiler.compile(order, pulse=pulse)
        except InsightEdgeError as error:
            self._end(key, Compiled(bundle=None, reason=str(error), log="", trials=()), clock())
            raise
        return self._end(key, compiled, clock())

    def settle(
        self,
        build: Build,
        results: bytes,
        *,
        clock: Clock,
        pulse: Callable[[], None] = lambda: None,
        tenant: str = TENANT,
    ) -> Build:
        """Return the next build of the same version, of which a device's results say what ships.

        Args:
            build: whose bundle has contenders; it stays as it is.
            results: a file as `insight-edge bench -o` leaves it.
            clock: says when.
            pulse: called meanwhile; may raise to stop.
            tenant: whose.

        Raises:
            NotFoundError: the build made no bundle, or its profile is gone.
            StorageError: the disk cannot be written.
        """
        settlement = Settlement(
            bundle=self.bundle(build).digest,
            profile=profile_source(self._profiles, build.profile),
            results=results,
        )
        attempt = self._begin(build.model, build.version, build.profile, clock(), tenant)
        key = (tenant, build.model, build.version, build.profile, attempt)
        try:
            settled = self._compiler.settle(settlement, pulse=pulse)
        except InsightEdgeError as error:
            self._end(key, Compiled(bundle=None, reason=str(error), log="", trials=()), clock())
            raise
        return self._end(key, settled, clock())

    def build_of(self, bundle: str, *, tenant: str = TENANT) -> Build:
        """Return the newest build that made a bundle.

        Raises:
            NotFoundError: none did.
        """
        query = select(BuildRow).filter_by(tenant=tenant, bundle=bundle)
        with self._database.read() as session:
            row = session.scalars(query.order_by(BuildRow.queued.desc()).limit(1)).first()
            if row is None:
                raise NotFoundError(f"no build made {bundle[:80]}")
            return _build(row)

    def bundle_path(self, build: Build) -> Path:
        """Return the directory of the bundle that a build made.

        Raises:
            NotFoundError: it made none.
        """
        if build.bundle is None:
            raise NotFoundError(
                f"no bundle of {build.model}:{build.version} for {build.profile}",
                hint=build.reason or None,
            )
        return self._compiler.bundle_path(build.bundle)

    def bundle(self, build: Build) -> Bundle:
        """Return the bundle that a build made, with all its evidence.

        Raises:
            NotFoundError: it made none.
            DocumentError: its files are gone or damaged.
        """
        return open_bundle(self.bundle_path(build), allow_unsigned=True)

    def builds(
        self, model: str | None = None, *, limit: int = 100, tenant: str = TENANT
    ) -> tuple[Build, ...]:
        """Return builds of one model or all, the newest first."""
        query = select(BuildRow).filter_by(tenant=tenant)
        if model is not None:
            query = query.filter_by(model=model)
        newest = query.order_by(
            BuildRow.queued.desc(), BuildRow.version.desc(), BuildRow.profile, BuildRow.attempt
        )
        with self._database.read() as session:
            rows = session.scalars(newest.limit(max(0, min(limit, MAX_LISTED))))
            return tuple(map(_build, rows))

    def _done(self, model: str, version: int, profile: str, tenant: str) -> Build | None:
        """Return the build that is done, if its bundle is still whole."""
        with self._database.read() as session:
            row = _last(session, tenant, model, version, profile)
            build = None if row is None else _build(row)
        if build is None or build.state is not BuildState.DONE:
            return None
        try:
            self.bundle(build)
        except InsightEdgeError as error:
            _log.warning("%s:%d for %s is built again: %s", model, version, profile, error)
            self._lose(build, str(error), tenant)
            return None
        return build

    def _lose(self, build: Build, reason: str, tenant: str) -> None:
        with self._database.write() as session:
            row = _last(session, tenant, build.model, build.version, build.profile)
            if row is not None and row.attempt == build.attempt:
                row.state, row.reason = BuildState.FAILED.value, reason

    def _begin(self, model: str, version: int, profile: str, now: datetime, tenant: str) -> int:
        found = self._registry.version(model, version)
        with self._database.write() as session:
            row = _last(session, tenant, model, version, profile)
            if row is not None and row.state == BuildState.RUNNING:
                row.state, row.reason, row.ended = BuildState.FAILED.value, OVERTAKEN, now
            if row is None or row.state != BuildState.QUEUED:
                row = _row(found, profile, row, now, tenant)
                session.add(row)
            row.state, row.started = BuildState.RUNNING.value, now
            return row.attempt

    def _end(self, key: tuple[str, str, int, str, int], compiled: Compiled, now: datetime) -> Build:
        with self._database.write() as session:
            row = session.get_one(BuildRow, key)
            done = compiled.bundle is not None
            row.state = (BuildState.DONE if done else BuildState.FAILED).value
            row.bundle, row.reason, row.ended = compiled.bundle, compiled.reason, now
            row.log = compiled.log
            row.trials = msgspec.to_builtins(compiled.trials)
            return _build(row)

    def _files(self, model: str, version: int) -> dict[str, bytes]:
        found = self._registry.version(model, version)
        held = {artifact.name for artifact in found.artifacts}
        files = {name: self._registry.artifact(found, name) for name in sorted(held & MODEL_FILES)}
        if "model.json" in files:
            files["model.json"] = numbered(files["model.json"], found)
        return files


def _last(session: Session, tenant: str, model: str, version: int, profile: str) -> BuildRow | None:
    query = select(BuildRow).filter_by(tenant=tenant, model=model, version=version, profile=profile)
    return session.scalars(query.order_by(BuildRow.attempt.desc()).limit(1)).first()


def _row(
    version: ModelVersion, profile: str, last: BuildRow | None, now: datetime, tenant: str
) -> BuildRow:
    return BuildRow(
        tenant=tenant,
        model=version.model,
        version=version.number,
        profile=profile,
        attempt=1 if last is None else last.attempt + 1,
        digest=version.digest,
        state=BuildState.QUEUED.value,
        bundle=None,
        reason="",
        log="",
        trials=[],
        queued=now,
        started=None,
        ended=None,
    )


def _build(row: BuildRow) -> Build:
    return Build(
        model=row.model,
        version=row.version,
        profile=row.profile,
        attempt=row.attempt,
        digest=row.digest,
        state=BuildState(row.state),
        bundle=row.bundle,
        reason=row.reason,
        log=row.log,
        trials=tuple(msgspec.convert(one, TrialSummary) for one in row.trials),
        queued=row.queued,
        started=row.started,
        ended=row.ended,
    )
