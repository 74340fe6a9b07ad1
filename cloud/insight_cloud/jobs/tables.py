# SPDX-License-Identifier: Apache-2.0
"""The tables of jobs; only this domain imports them."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from insight_cloud.platform.schema import Row

JOB = ["jobs_job.tenant", "jobs_job.id"]


class JobRow(Row):
    """A job and how it stands.

    Attributes:
        key: that whoever asked gave it, so that asking twice is asking once.
        artifacts, targets, selection, terms, left_out: JSON.
    """

    __tablename__ = "jobs_job"
    __table_args__ = (
        UniqueConstraint("tenant", "key"),
        Index(None, "tenant", "created"),
        Index(None, "ended"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str | None]
    kind: Mapped[str]
    bundle: Mapped[str]
    model: Mapped[str]
    version: Mapped[int]
    profile: Mapped[str]
    artifacts: Mapped[str]
    targets: Mapped[str]
    selection: Mapped[str]
    terms: Mapped[str]
    left_out: Mapped[str]
    spare: Mapped[int]
    state: Mapped[str]
    reason: Mapped[str]
    by: Mapped[str]
    created: Mapped[datetime]
    expires: Mapped[datetime]
    withdrawn: Mapped[datetime | None]
    ended: Mapped[datetime | None]


class MemberRow(Row):
    """A device in a job."""

    __tablename__ = "jobs_member"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "job"], JOB),
        Index(None, "tenant", "device"),
    )

    job: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    phase: Mapped[str]
    why: Mapped[str]
    told: Mapped[datetime | None]
    said: Mapped[datetime | None]
    accepted: Mapped[datetime | None]
    ended: Mapped[datetime | None]
    heard: Mapped[str | None]
    left_out: Mapped[str]


class MeasurementRow(Row):
    """One `BenchResult`, and what it is looked up by; never changed.

    Attributes:
        target: its token.
        document: canonical JSON.
        figures: the same without samples, which are most of it.
    """

    __tablename__ = "jobs_measurement"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "job"], JOB),
        UniqueConstraint("tenant", "job", "device", "variant"),
        Index(None, "tenant", "model", "version"),
        Index(None, "tenant", "bundle"),
        Index(None, "tenant", "artifact"),
    )

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    job: Mapped[str]
    device: Mapped[str]
    model: Mapped[str]
    version: Mapped[int]
    profile: Mapped[str]
    bundle: Mapped[str]
    artifact: Mapped[str]
    variant: Mapped[str]
    target: Mapped[str]
    at: Mapped[datetime]
    document: Mapped[str]
    figures: Mapped[str]
