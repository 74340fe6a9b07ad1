# SPDX-License-Identifier: Apache-2.0
"""The registry's tables; only `registry.service` imports them."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from insight_cloud.platform.schema import Row


class ModelRow(Row):
    """A name under which versions are counted."""

    __tablename__ = "registry_model"

    name: Mapped[str] = mapped_column(primary_key=True)
    task: Mapped[str]
    created: Mapped[datetime]


class VersionRow(Row):
    """One version; inserted once, never updated."""

    __tablename__ = "registry_version"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "model"], ["registry_model.tenant", "registry_model.name"]),
    )

    model: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str]
    metrics: Mapped[dict[str, float]] = mapped_column(JSON)
    created: Mapped[datetime]


class ArtifactRow(Row):
    """One file of a version, by the digest of its blob."""

    __tablename__ = "registry_artifact"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "model", "number"],
            ["registry_version.tenant", "registry_version.model", "registry_version.number"],
        ),
    )

    model: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    length_bytes: Mapped[int]


class AliasRow(Row):
    """An explicit name for one version of a model; the one thing here that moves."""

    __tablename__ = "registry_alias"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "model", "number"],
            ["registry_version.tenant", "registry_version.model", "registry_version.number"],
        ),
    )

    model: Mapped[str] = mapped_column(primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    changed: Mapped[datetime]
