# SPDX-License-Identifier: Apache-2.0
"""The tables of releases; only `releases.service` imports them."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from insight_cloud.platform.schema import Row


class ReleaseRow(Row):
    """One bundle that was published; its state moves from pending to listed to revoked."""

    __tablename__ = "release"

    bundle: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str]
    version: Mapped[int]
    profile: Mapped[str]
    length_bytes: Mapped[int]
    state: Mapped[str]
    decided_by: Mapped[str | None]
    created: Mapped[datetime]
    changed: Mapped[datetime]


class PolicyRow(Row):
    """Who decides for a model; one that is not here is listed automatically."""

    __tablename__ = "release_policy"

    model: Mapped[str] = mapped_column(primary_key=True)
    mode: Mapped[str]
    changed: Mapped[datetime]
