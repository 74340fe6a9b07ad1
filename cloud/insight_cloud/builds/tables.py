# SPDX-License-Identifier: Apache-2.0
"""The table of builds; only `builds.service` imports it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index
from sqlalchemy.orm import Mapped, mapped_column

from insight_cloud.platform.schema import Row


class BuildRow(Row):
    """One attempt to compile a version for a profile."""

    __tablename__ = "builds_build"
    __table_args__ = (Index(None, "tenant", "queued"),)

    model: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    profile: Mapped[str] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str]
    state: Mapped[str]
    bundle: Mapped[str | None]
    reason: Mapped[str]
    log: Mapped[str]
    trials: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    queued: Mapped[datetime]
    started: Mapped[datetime | None]
    ended: Mapped[datetime | None]
