# SPDX-License-Identifier: Apache-2.0
"""The tables of pipelines; only this domain imports them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from insight_cloud.platform.schema import Row


class PolicyRow(Row):
    """How a model is retrained; one that is not here is retrained when a person says so."""

    __tablename__ = "pipelines_policy"

    model: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    by: Mapped[str]
    changed: Mapped[datetime]


class RunRow(Row):
    """One run, and what its steps found.

    Attributes:
        policy: as it was when the run was opened.
        cancelled_by: who asked for its end.
    """

    __tablename__ = "pipelines_run"
    __table_args__ = (
        Index(None, "tenant", "model", "number", unique=True),
        Index(None, "tenant", "opened"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str]
    number: Mapped[int]
    state: Mapped[str]
    because: Mapped[str]
    alarm: Mapped[str | None]
    by: Mapped[str]
    opened: Mapped[datetime]
    ended: Mapped[datetime | None]
    version: Mapped[int | None]
    reason: Mapped[str]
    policy: Mapped[dict[str, Any]] = mapped_column(JSON)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    cancelled_by: Mapped[str | None]


class StepRow(Row):
    """One step of a run; a step that is done again keeps when it first began."""

    __tablename__ = "pipelines_step"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "run"], ["pipelines_run.tenant", "pipelines_run.id"]),
    )

    run: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    state: Mapped[str]
    started: Mapped[datetime]
    ended: Mapped[datetime | None]
    text: Mapped[str]
    progress: Mapped[float | None]
