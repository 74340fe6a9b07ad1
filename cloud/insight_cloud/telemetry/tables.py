# SPDX-License-Identifier: Apache-2.0
"""The tables of telemetry; only this domain imports them.

Moments that are compared with a device's are seconds since the epoch; hours are
whole ones since then.
"""

from sqlalchemy import JSON, BigInteger, Index, Integer, TextClause, text
from sqlalchemy.orm import Mapped, mapped_column

from insight_cloud.platform.schema import Row

NEW, MERGED, WAITING, REFUSED = "new", "merged", "waiting", "refused"
"""States of a report: to be added up, in the totals, of an unknown bundle, impossible."""


IS_NEW, IS_WAITING = text("state = 'new'"), text("state = 'waiting'")
HAS_BATCH = text("batch IS NOT NULL")
"""As conditions of queries: one with a parameter is not known to be that of an index."""


def _few(condition: TextClause, *columns: str) -> Index:
    """Return an index of the few reports that something is still to be done about."""
    return Index(None, *columns, sqlite_where=condition, postgresql_where=condition)


class ReportRow(Row):
    """One window, with what is asked of it most; its key tells a copy that comes later.

    Attributes:
        digest: of what it says; a copy may be packed otherwise.
        length_bytes: on the wire.
        batch: that holds what is to be added up of it; None when nothing is any more.
    """

    __tablename__ = "telemetry_report"
    __table_args__ = (_few(HAS_BATCH, "batch"),)

    device: Mapped[str] = mapped_column(primary_key=True)
    deployment: Mapped[str] = mapped_column(primary_key=True)
    boot: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    bundle: Mapped[str]
    hour: Mapped[int]
    state: Mapped[str]
    opened_s: Mapped[float]
    closed_s: Mapped[float]
    arrived_s: Mapped[float]
    asked: Mapped[int] = mapped_column(BigInteger)
    answered: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    observed: Mapped[int] = mapped_column(BigInteger)
    flagged: Mapped[int] = mapped_column(BigInteger)
    broken: Mapped[int] = mapped_column(BigInteger)
    p99_ns: Mapped[int | None] = mapped_column(BigInteger)
    digest: Mapped[str]
    length_bytes: Mapped[int | None] = mapped_column(Integer)
    batch: Mapped[str | None]


class PendingRow(Row):
    """Reports of one bundle that came together and are not added up yet.

    Attributes:
        id: sorts by time.
        reports: how many.
        packed: they, in msgpack.
    """

    __tablename__ = "telemetry_pending"
    __table_args__ = (_few(IS_NEW, "id"), _few(IS_WAITING, "tenant", "bundle"))

    id: Mapped[str] = mapped_column(primary_key=True)
    bundle: Mapped[str]
    state: Mapped[str]
    arrived_s: Mapped[float]
    reports: Mapped[int] = mapped_column(Integer)
    packed: Mapped[bytes]


class TotalsRow(Row):
    """All merged reports of one hour of a deployment with one bundle."""

    __tablename__ = "telemetry_totals"
    __table_args__ = (Index(None, "tenant", "bundle", "hour"),)

    device: Mapped[str] = mapped_column(primary_key=True)
    deployment: Mapped[str] = mapped_column(primary_key=True)
    bundle: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reports: Mapped[int] = mapped_column(BigInteger)
    asked: Mapped[int] = mapped_column(BigInteger)
    answered: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    observed: Mapped[int] = mapped_column(BigInteger)
    flagged: Mapped[int] = mapped_column(BigInteger)
    broken: Mapped[int] = mapped_column(BigInteger)
    statistics: Mapped[bytes]


class SegmentRow(Row):
    """Consecutive reports of one bundle, of all devices, added up until they are enough.

    Attributes:
        complete: nothing is added any more.
        begun_s: when its first report was added, by the cloud's clock.
        rows: observed.
        devices: rows by device.
    """

    __tablename__ = "telemetry_segment"
    __table_args__ = (Index(None, "complete", "begun_s"),)

    bundle: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    complete: Mapped[bool]
    begun_s: Mapped[float]
    opened_s: Mapped[float]
    closed_s: Mapped[float]
    rows: Mapped[int] = mapped_column(BigInteger)
    devices: Mapped[dict[str, int]] = mapped_column(JSON)
    reports: Mapped[int] = mapped_column(BigInteger)
    asked: Mapped[int] = mapped_column(BigInteger)
    answered: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    observed: Mapped[int] = mapped_column(BigInteger)
    flagged: Mapped[int] = mapped_column(BigInteger)
    broken: Mapped[int] = mapped_column(BigInteger)
    statistics: Mapped[bytes]


class ChallengeRow(Row):
    """What one bundle did as a challenger on one deployment, all its reports together.

    Attributes:
        changed_s: when the latest of them came.
        told: a `Challenge`, in JSON.
    """

    __tablename__ = "telemetry_challenge"
    __table_args__ = (Index(None, "tenant", "bundle"),)

    device: Mapped[str] = mapped_column(primary_key=True)
    deployment: Mapped[str] = mapped_column(primary_key=True)
    bundle: Mapped[str] = mapped_column(primary_key=True)
    changed_s: Mapped[float]
    told: Mapped[bytes]


class RunRow(Row):
    """One boot of a deployment, of whose reports the oldest were let go.

    Attributes:
        forgotten: numbers below it were.
    """

    __tablename__ = "telemetry_run"

    device: Mapped[str] = mapped_column(primary_key=True)
    deployment: Mapped[str] = mapped_column(primary_key=True)
    boot: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    forgotten: Mapped[int] = mapped_column(BigInteger)


class IntakeRow(Row):
    """What came of one device that is no row of another table."""

    __tablename__ = "telemetry_intake"

    device: Mapped[str] = mapped_column(primary_key=True)
    duplicates: Mapped[int] = mapped_column(BigInteger)
    quarantined: Mapped[int] = mapped_column(BigInteger)


class QuarantineRow(Row):
    """A message that could not be believed, and why."""

    __tablename__ = "telemetry_quarantine"
    __table_args__ = (Index(None, "tenant", "device", "arrived_s"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str]
    kind: Mapped[str]
    fault: Mapped[str]
    reason: Mapped[str]
    arrived_s: Mapped[float]
    length_bytes: Mapped[int] = mapped_column(Integer)
    payload: Mapped[bytes]


class PredictionRow(Row):
    """One sampled result.

    Attributes:
        key_subject: `Outcome.key` of this deployment, as outcomes name it; None without a key.
        outputs: JSON, until the result is in the log.
        file: of the log that it is or will be in; None before it is chosen.
    """

    __tablename__ = "telemetry_prediction"
    __table_args__ = (Index(None, "tenant", "bundle", "hour"), Index(None, "logged", "file"))

    id: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str]
    deployment: Mapped[str]
    bundle: Mapped[str]
    key_subject: Mapped[str | None]
    hour: Mapped[int]
    at_s: Mapped[float]
    arrived_s: Mapped[float]
    class_index: Mapped[int | None] = mapped_column(BigInteger)
    class_name: Mapped[str | None]
    outputs: Mapped[str | None]
    logged: Mapped[bool]
    file: Mapped[str | None]


class OutcomeRow(Row):
    """What turned out to be true; of several about one result the latest counts.

    Attributes:
        subject: the id of the result, or `device/deployment:key`.
        number: a label that is no class.
    """

    __tablename__ = "telemetry_outcome"

    subject: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    class_index: Mapped[int | None] = mapped_column(BigInteger)
    class_name: Mapped[str | None]
    number: Mapped[float | None]
    at_s: Mapped[float]
    arrived_s: Mapped[float]
    source: Mapped[str]


class SampleRow(Row):
    """An input that is kept on a device, and what was done about it."""

    __tablename__ = "telemetry_sample"
    __table_args__ = (
        Index(None, "tenant", "state", "bundle"),
        Index(None, "tenant", "device", "state"),
    )

    device: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    deployment: Mapped[str]
    result: Mapped[str]
    bundle: Mapped[str]
    length_bytes: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    score: Mapped[float]
    outputs: Mapped[str]
    at_s: Mapped[float]
    arrived_s: Mapped[float]
    state: Mapped[str]
    changed_s: Mapped[float]
