# SPDX-License-Identifier: Apache-2.0
"""Add reports up to totals of an hour, inside a transaction of the service's.

A report is in the totals once: in the very transaction that adds it, its state
says so. Until then whoever reads totals adds it for himself, so that they are
exact at any moment.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from insight_cloud.telemetry.quarantine import put_away
from insight_cloud.telemetry.reading import Reading
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.storing import insert_new
from insight_cloud.telemetry.tables import MERGED, NEW, REFUSED, WAITING, ReportRow, TotalsRow
from insight_cloud.telemetry.totals import (
    COUNTS,
    NOTHING,
    Totals,
    pack_statistics,
    totals_from_report,
    unpack_totals,
)
from insight_cloud.telemetry.wire import Reader
from insight_edge.documents.report import Counts, Report
from insight_edge.documents.topics import Kind, Topic
from insight_edge.errors import DocumentError


@dataclass(frozen=True, kw_only=True, order=True)
class Slot:
    """What totals are of.

    Attributes:
        hour: since the epoch, in which the windows were closed.
    """

    tenant: str
    device: str
    deployment: str
    bundle: str
    hour: int


class Adding:
    """Adds reports up; threads may share it."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._reader = Reader()

    def merge_new(self, session: Session, limit: int, now_s: float) -> int:
        """Merge reports that are not in the totals yet, at most `limit`, and return how many.

        Those that no rows can have made are refused and quarantined; they are counted too.
        """
        query = select(ReportRow).filter_by(state=NEW).order_by(ReportRow.hour, ReportRow.device)
        rows = session.scalars(query.limit(limit).with_for_update(skip_locked=True)).all()
        refused: list[tuple[ReportRow, DocumentError]] = []
        for slot, several in sorted(_by_slot(rows).items(), key=itemgetter(0)):
            bundle = self._reading.bundle(slot.bundle)
            if bundle is None:
                for row in several:
                    row.state = WAITING
                continue
            refused += self._merge(session, slot, several, bundle)
        put_away(session, [_suspect(row, error) for row, error in refused], now_s)
        return len(rows)

    def totals(
        self, session: Session, chosen: Sequence[tuple[str, Any]], since: int, until: int
    ) -> dict[Slot, Totals]:
        """Return the totals of the hours from `since` to before `until`, by what they are of."""
        found: dict[Slot, Totals] = {}
        for kept in session.scalars(
            select(TotalsRow).where(*_where(TotalsRow, chosen, since, until))
        ):
            bundle = self._reading.bundle(kept.bundle)
            if bundle is not None:
                found[_slot(kept)] = _unpacked(kept, bundle)
        pending = select(ReportRow).where(
            ReportRow.state == NEW, *_where(ReportRow, chosen, since, until)
        )
        for slot, several in _by_slot(session.scalars(pending)).items():
            bundle = self._reading.bundle(slot.bundle)
            if bundle is not None:
                total, _, _ = self._add(found.get(slot, NOTHING), several, bundle)
                if total.reports:
                    found[slot] = total
        return dict(sorted(found.items()))

    def _merge(
        self, session: Session, slot: Slot, rows: Sequence[ReportRow], bundle: KnownBundle
    ) -> list[tuple[ReportRow, DocumentError]]:
        kept = _locked(session, slot)
        total, good, bad = self._add(_unpacked(kept, bundle), rows, bundle)
        for row in good:
            row.state = MERGED
        for row, _ in bad:
            row.state = REFUSED
        kept.reports, kept.statistics = total.reports, pack_statistics(total)
        for name in COUNTS:
            setattr(kept, name, getattr(total.counts, name))
        return bad

    def _add(
        self, total: Totals, rows: Iterable[ReportRow], bundle: KnownBundle
    ) -> tuple[Totals, list[ReportRow], list[tuple[ReportRow, DocumentError]]]:
        good, bad = [], []
        for row in rows:
            try:
                report = self._reader.read(Report, row.payload or b"")
                total = total.merge(totals_from_report(report, bundle))
            except DocumentError as error:
                bad.append((row, error))
            else:
                good.append(row)
        return total, good, bad


def release_waiting(session: Session, tenant: str, bundle: str) -> None:
    """Let the reports of a bundle be added up that was not known when they came."""
    session.execute(
        update(ReportRow)
        .where(ReportRow.state == WAITING, ReportRow.tenant == tenant, ReportRow.bundle == bundle)
        .values(state=NEW)
    )


def _locked(session: Session, slot: Slot) -> TotalsRow:
    """Return the row of some totals, which nobody else adds to until the transaction ends."""
    key = asdict(slot)
    query = select(TotalsRow).filter_by(**key).with_for_update()
    found = session.scalars(query).one_or_none()
    if found is not None:
        return found
    zero = key | dict.fromkeys(COUNTS, 0) | {"reports": 0, "statistics": pack_statistics(NOTHING)}
    insert_new(session, TotalsRow, [zero], [TotalsRow.hour])
    return session.scalars(query).one()


def _unpacked(row: TotalsRow, bundle: KnownBundle) -> Totals:
    counts = Counts(**{name: getattr(row, name) for name in COUNTS})
    return unpack_totals(row.reports, counts, row.statistics, bundle)


def _by_slot(rows: Iterable[ReportRow]) -> dict[Slot, list[ReportRow]]:
    groups: defaultdict[Slot, list[ReportRow]] = defaultdict(list)
    for row in rows:
        groups[_slot(row)].append(row)
    return groups


def _slot(row: ReportRow | TotalsRow) -> Slot:
    return Slot(
        tenant=row.tenant,
        device=row.device,
        deployment=row.deployment,
        bundle=row.bundle,
        hour=row.hour,
    )


def _where(
    table: type[ReportRow | TotalsRow], chosen: Sequence[tuple[str, Any]], since: int, until: int
) -> list[ColumnElement[bool]]:
    wanted = [getattr(table, name) == value for name, value in chosen]
    return [*wanted, table.hour >= since, table.hour < until]


def _suspect(row: ReportRow, error: DocumentError) -> tuple[Topic, bytes, tuple[str, str]]:
    topic = Topic(row.tenant, row.device, Kind.REPORT)
    return topic, row.payload or b"", (type(error).__name__, str(error))
