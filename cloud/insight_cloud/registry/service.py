# SPDX-License-Identifier: Apache-2.0
"""The registry's use cases, one transaction each.

Blobs are put before the transaction that names them, so a version never names
bytes that are not there; a put whose transaction fails leaves a blob nobody
names, which costs space only.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import note
from insight_cloud.platform.blobs import Blobs
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.platform.schema import TENANT
from insight_cloud.registry.rules import (
    SOURCE_ARTIFACT,
    Artifact,
    Model,
    ModelVersion,
    check_alias,
    check_name,
    next_number,
)
from insight_cloud.registry.tables import AliasRow, ArtifactRow, ModelRow, VersionRow


class Registry:
    """Models and their versions in one database and one blob store."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def register(
        self,
        model: str,
        *,
        task: str,
        artifacts: Mapping[str, bytes],
        metrics: Mapping[str, float],
        now: datetime,
        by: str,
    ) -> ModelVersion:
        """Record the next version of a model, which is created by its first.

        Args:
            model: its name.
            task: what it is for; the same for all versions.
            artifacts: the version's files by name; `model.onnx` is the source model.
            metrics: what it was evaluated at.
            now: when.
            by: who.

        Raises:
            ValueError: there is no source model.
            ConfigurationError: a name cannot be used.
            ConflictError: earlier versions are for another task.
            StorageError: the disk is full or cannot be written; nothing was recorded.
        """
        if SOURCE_ARTIFACT not in artifacts:
            raise ValueError(f"no {SOURCE_ARTIFACT} among the artifacts")
        for kind, name in [("a model", model), *(("an artifact", name) for name in artifacts)]:
            check_name(kind, name)
        kept = {name: (self._blobs.put(data), len(data)) for name, data in artifacts.items()}
        with self._database.write() as session:
            number = next_number(_latest(session, model, task, now))
            version = VersionRow(
                model=model,
                number=number,
                digest=kept[SOURCE_ARTIFACT][0],
                metrics=dict(metrics),
                created=now,
            )
            session.add(version)
            session.flush()
            session.add_all(
                ArtifactRow(model=model, number=number, name=name, digest=key, length_bytes=size)
                for name, (key, size) in kept.items()
            )
            session.flush()
            found = _version(session, model, number)
            note(session, by=by, action="model.register", subject=found.label, now=now)
            return found

    def overview(self, *, after: str | None = None, limit: int = 100) -> tuple[Model, ...]:
        """Return models after a name, in the order of names, at most `limit`."""
        newest = (
            select(func.max(VersionRow.number))
            .where(VersionRow.tenant == ModelRow.tenant, VersionRow.model == ModelRow.name)
            .scalar_subquery()
        )
        query = select(ModelRow, newest).filter_by(tenant=TENANT).order_by(ModelRow.name)
        if after is not None:
            query = query.where(ModelRow.name > after)
        with self._database.read() as session:
            return tuple(
                Model(name=row.name, task=row.task, created=row.created, versions=number or 0)
                for row, number in session.execute(query.limit(max(0, limit)))
            )

    def version(self, model: str, which: int | str) -> ModelVersion:
        """Return a version by its number or by an alias.

        Raises:
            NotFoundError: there is no such model, version or alias.
        """
        with self._database.read() as session:
            number = which if isinstance(which, int) else _aliased(session, model, which)
            return _version(session, model, number)

    def models(self) -> tuple[str, ...]:
        """Return the names of all models."""
        query = select(ModelRow.name).filter_by(tenant=TENANT).order_by(ModelRow.name)
        with self._database.read() as session:
            return tuple(session.scalars(query))

    def versions(
        self, model: str, *, after: int = 0, limit: int | None = None
    ) -> tuple[ModelVersion, ...]:
        """Return the versions of a model after a number, the first one first.

        There are none if there is no such model.
        """
        query = select(VersionRow.number).filter_by(tenant=TENANT, model=model)
        query = query.where(VersionRow.number > after).order_by(VersionRow.number).limit(limit)
        with self._database.read() as session:
            numbers = session.scalars(query).all()
            return tuple(_version(session, model, number) for number in numbers)

    def assign_alias(self, model: str, alias: str, number: int, *, now: datetime, by: str) -> None:
        """Make an alias name a version, whatever it named before.

        Raises:
            ConfigurationError: the alias cannot be used.
            NotFoundError: there is no such version.
        """
        check_alias(alias)
        with self._database.write() as session:
            _version(session, model, number)
            session.merge(
                AliasRow(tenant=TENANT, model=model, alias=alias, number=number, changed=now)
            )
            subject = f"{model}:{alias}"
            note(session, by=by, action="model.alias", subject=subject, now=now, detail=f"{number}")

    def aliases(self, model: str) -> dict[str, int]:
        """Return the number that each alias of a model names."""
        query = select(AliasRow).filter_by(tenant=TENANT, model=model).order_by(AliasRow.alias)
        with self._database.read() as session:
            return {row.alias: row.number for row in session.scalars(query)}

    def artifact(self, version: ModelVersion, name: str) -> bytes:
        """Return the bytes of one file of a version.

        Raises:
            NotFoundError: the version has no such file, or its blob is gone.
            DigestMismatchError: the blob is damaged.
        """
        return self._blobs.get(_artifact(version, name).digest)

    def artifact_parts(self, version: ModelVersion, name: str) -> tuple[Artifact, Iterator[bytes]]:
        """Return one file of a version in parts, which are not compared with its digest.

        Raises:
            NotFoundError: as `artifact`.
        """
        found = _artifact(version, name)
        return found, self._blobs.parts(found.digest)


def _artifact(version: ModelVersion, name: str) -> Artifact:
    for artifact in version.artifacts:
        if artifact.name == name:
            return artifact
    held = ", ".join(artifact.name for artifact in version.artifacts)
    raise NotFoundError(f"{version.label} has no '{name[:80]}'", hint=f"it has {held}")


def _latest(session: Session, model: str, task: str, now: datetime) -> int | None:
    """Return the newest number of a model, which is created where it is new."""
    row = session.get(ModelRow, (TENANT, model))
    if row is None:
        session.add(ModelRow(name=model, task=task, created=now))
        session.flush()
    elif row.task != task:
        raise ConflictError(
            f"'{model}' is registered for {row.task}, not for {task}", hint="choose another name"
        )
    query = select(func.max(VersionRow.number)).filter_by(tenant=TENANT, model=model)
    return session.scalar(query)


def _aliased(session: Session, model: str, alias: str) -> int:
    row = session.get(AliasRow, (TENANT, model, alias))
    if row is None:
        raise NotFoundError(f"'{model}' has no alias '{alias}'")
    return row.number


def _version(session: Session, model: str, number: int) -> ModelVersion:
    row = session.get(VersionRow, (TENANT, model, number))
    owner = session.get(ModelRow, (TENANT, model))
    if row is None or owner is None:
        raise NotFoundError(f"there is no version {model}:{number}")
    query = select(ArtifactRow).filter_by(tenant=TENANT, model=model, number=number)
    files = session.scalars(query.order_by(ArtifactRow.name))
    return ModelVersion(
        model=model,
        number=number,
        task=owner.task,
        digest=row.digest,
        metrics=dict(row.metrics),
        artifacts=tuple(
            Artifact(name=file.name, digest=file.digest, length_bytes=file.length_bytes)
            for file in files
        ),
        created=row.created,
    )
