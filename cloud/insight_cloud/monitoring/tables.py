# SPDX-License-Identifier: Apache-2.0
"""The tables of monitoring; only this domain imports them."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Double, Index
from sqlalchemy.orm import Mapped, mapped_column

from insight_cloud.platform.schema import Row


class PolicyRow(Row):
    """When the windows of a model make an alarm; the default where there is no row."""

    __tablename__ = "monitoring_policy"

    model: Mapped[str] = mapped_column(primary_key=True)
    budget: Mapped[float] = mapped_column(Double)
    window_rows: Mapped[int]
    votes: Mapped[int]
    windows: Mapped[int]
    steady: Mapped[int]
    by: Mapped[str]
    changed: Mapped[datetime]


class ThresholdRow(Row):
    """A limit that was drawn; inserted once, never updated.

    Attributes:
        document: `Thresholds` as JSON.
    """

    __tablename__ = "monitoring_threshold"

    bundle: Mapped[str] = mapped_column(primary_key=True)
    window_rows: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    statistic: Mapped[str] = mapped_column(primary_key=True)
    budget: Mapped[float] = mapped_column(Double, primary_key=True)
    document: Mapped[str]
    drawn: Mapped[datetime]


class AssessmentRow(Row):
    """What a segment of telemetry says; inserted once, never updated.

    Attributes:
        number: of the segment.
        devices: rows by device.
        limit_rows: of the windows that the limit was drawn for.
        features: `FeatureFigures`, those that differ most first.
    """

    __tablename__ = "monitoring_assessment"

    bundle: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    model: Mapped[str]
    version: Mapped[int]
    opened_s: Mapped[float] = mapped_column(Double)
    closed_s: Mapped[float] = mapped_column(Double)
    rows: Mapped[int] = mapped_column(BigInteger)
    devices: Mapped[dict[str, int]] = mapped_column(JSON)
    verdict: Mapped[str]
    score: Mapped[float | None] = mapped_column(Double)
    limit: Mapped[float | None] = mapped_column(Double)
    limit_rows: Mapped[int | None]
    sentence: Mapped[str]
    features: Mapped[str]
    assessed: Mapped[datetime]


class AlarmRow(Row):
    """Something that is wrong with a bundle, until it is over or a person says so.

    Attributes:
        first: number of the segment that drifted first.
        segment: of the one that opened it.
        last: of the newest one when it was closed.
        outcomes: how right answers were, as far as it was known when it was closed.
        closed_by, reason: None while it is open.
    """

    __tablename__ = "monitoring_alarm"
    __table_args__ = (Index(None, "tenant", "bundle"), Index(None, "tenant", "closed"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    bundle: Mapped[str]
    model: Mapped[str]
    version: Mapped[int]
    opened: Mapped[datetime]
    first: Mapped[int] = mapped_column(BigInteger)
    first_s: Mapped[float] = mapped_column(Double)
    segment: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int | None] = mapped_column(BigInteger)
    sentence: Mapped[str]
    outcomes: Mapped[str]
    closed: Mapped[datetime | None]
    closed_by: Mapped[str | None]
    reason: Mapped[str | None]
