# SPDX-License-Identifier: Apache-2.0
"""Whether what devices count arrives: what is missing, came twice, or was not believed.

Windows of one boot are numbered from 0 without holes, so a number that is missing is
a report that has not come (yet). Inside a transaction of the service's.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, and_, bindparam, case, func, select, update
from sqlalchemy.orm import Session

from insight_cloud.telemetry.storing import insert_new, placed_column
from insight_cloud.telemetry.tables import MERGED, NEW, WAITING, IntakeRow, ReportRow, RunRow

Whose = tuple[str, str]
"""Tenant and device."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """How the reports of one device arrive.

    Attributes:
        reports: stored, each once.
        merged: of these, in the totals.
        waiting: of these, of a bundle that is not known.
        missing: of all its boots, numbers below the newest that have not come.
        duplicates: messages that had come before; they changed nothing.
        quarantined: messages that could not be believed.
        report_bytes: mean length of reports on the wire; None where none is kept any more.
        newest_s: when its newest window was closed, as far as that is believed; None without one.
    """

    device: str
    reports: int = 0
    merged: int = 0
    waiting: int = 0
    missing: int = 0
    duplicates: int = 0
    quarantined: int = 0
    report_bytes: float | None = None
    newest_s: float | None = None


def count_in(
    session: Session, duplicates: Mapping[Whose, int], quarantined: Mapping[Whose, int]
) -> None:
    """Count messages that came twice, and those that were put away."""
    whose = sorted({*duplicates, *quarantined})
    if not whose:
        return
    keys = [{"tenant": tenant, "device": device} for tenant, device in whose]
    zero = {"duplicates": 0, "quarantined": 0}
    insert_new(session, IntakeRow, [key | zero for key in keys], [IntakeRow.device])
    session.connection().execute(
        _COUNT,
        [
            {
                "tenant_": tenant,
                "device_": device,
                "duplicates_": duplicates.get((tenant, device), 0),
                "quarantined_": quarantined.get((tenant, device), 0),
            }
            for tenant, device in whose
        ],
    )


def healths(session: Session, tenant: str, device: str | None) -> dict[str, Health]:
    """Return how the reports of one device or of all arrive, by device."""
    wanted = {"tenant": tenant} | ({} if device is None else {"device": device})
    intake = {row.device: row for row in session.scalars(select(IntakeRow).filter_by(**wanted))}
    found = {
        name: Health(device=name, duplicates=row.duplicates, quarantined=row.quarantined)
        for name, row in intake.items()
    }
    missing = _missing(session, wanted)
    newest_s = placed_column(ReportRow.closed_s, ReportRow.arrived_s)
    query = (
        select(
            ReportRow.device,
            func.count(),
            func.count(case((ReportRow.state == MERGED, 1))),
            func.count(case((ReportRow.state == WAITING, 1))),
            func.avg(ReportRow.length_bytes),
            func.max(newest_s),
        )
        .where(*_chosen(wanted))
        .group_by(ReportRow.device)
    )
    for name, reports, merged, waiting, length_bytes, newest in session.execute(query):
        found[name] = replace(
            found.get(name, Health(device=name)),
            reports=reports,
            merged=merged,
            waiting=waiting,
            missing=missing[name],
            report_bytes=length_bytes,
            newest_s=newest,
        )
    return dict(sorted(found.items()))


def forget_runs(session: Session, before_s: float) -> None:
    """Remember how far the numbers of each boot are let go, before their reports are deleted."""
    run = (ReportRow.tenant, ReportRow.device, ReportRow.deployment, ReportRow.boot)
    gone = (
        select(*run, (func.max(ReportRow.sequence) + 1).label("forgotten"))
        .where(ReportRow.state != NEW, ReportRow.arrived_s < before_s)
        .group_by(*run)
    )
    rows = [dict(found._mapping) for found in session.execute(gone)]  # noqa: SLF001 (its own name)
    insert_new(session, RunRow, [row | {"forgotten": 0} for row in rows], [RunRow.boot])
    for row in rows:
        forgotten = row.pop("forgotten")
        session.execute(
            update(RunRow)
            .filter_by(**row)
            .where(RunRow.forgotten < forgotten)
            .values(forgotten=forgotten)
        )


def _missing(session: Session, wanted: Mapping[str, str]) -> Counter[str]:
    """Return by device how many numbers are missing, of those that were not let go."""
    begin = func.coalesce(RunRow.forgotten, 0)
    run = (ReportRow.tenant, ReportRow.device, ReportRow.deployment, ReportRow.boot)
    same = and_(
        RunRow.tenant == ReportRow.tenant,
        RunRow.device == ReportRow.device,
        RunRow.deployment == ReportRow.deployment,
        RunRow.boot == ReportRow.boot,
    )
    query = (
        select(ReportRow.device, func.max(ReportRow.sequence) + 1 - func.max(begin) - func.count())
        .where(*_chosen(wanted))
        .outerjoin(RunRow, same)
        .where(ReportRow.sequence >= begin)
        .group_by(*run)
    )
    missing: Counter[str] = Counter()
    for device, number in session.execute(query):
        missing[device] += number
    return missing


def _chosen(wanted: Mapping[str, str]) -> list[ColumnElement[bool]]:
    return [getattr(ReportRow, name) == value for name, value in wanted.items()]


_COUNT = (
    update(IntakeRow)
    .where(IntakeRow.tenant == bindparam("tenant_"), IntakeRow.device == bindparam("device_"))
    .values(
        duplicates=IntakeRow.duplicates + bindparam("duplicates_"),
        quarantined=IntakeRow.quarantined + bindparam("quarantined_"),
    )
)
