# SPDX-License-Identifier: Apache-2.0
"""Add reports up to totals of an hour and to segments, inside a transaction of the service's.

A report is in the totals once: in the very transaction that adds it, its state
says so. Until then whoever reads totals adds it for himself, so that they are
exact at any moment.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import ColumnElement, bindparam, func, select, tuple_, update
from sqlalchemy.orm import Session

from insight_cloud.telemetry import hours, segmenting
from insight_cloud.telemetry.batch import Batch
from insight_cloud.telemetry.checking import PENDING, Pending, Refused, check
from insight_cloud.telemetry.health import count_in
from insight_cloud.telemetry.hours import Key
from insight_cloud.telemetry.quarantine import put_away
from insight_cloud.telemetry.reading import Reading
from insight_cloud.telemetry.rules import KnownBundle, placed_s
from insight_cloud.telemetry.segments import Stretches
from insight_cloud.telemetry.tables import (
    IS_NEW,
    IS_WAITING,
    MERGED,
    NEW,
    REFUSED,
    WAITING,
    ReportRow,
    TotalsRow,
)
from insight_cloud.telemetry.totals import Totals
from insight_cloud.telemetry.wire import Reader
from insight_edge.documents.topics import Kind, Topic
from insight_edge.errors import DocumentError

KEY = (
    ReportRow.tenant,
    ReportRow.device,
    ReportRow.deployment,
    ReportRow.boot,
    ReportRow.sequence,
)


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


MAX_WAITING = 1000
"""Unknown bundles that are looked for; a device can name as many as it likes."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Adding:
    """Adds reports up; threads may share it.

    Args:
        reading: knows the bundles.
        segment_rows: that make a segment complete.
    """

    def __init__(self, reading: Reading, segment_rows: int) -> None:
        self._reading = reading
        self._reader = Reader()
        self._segment_rows = segment_rows

    def merge_new(self, session: Session, limit: int, now_s: float) -> int:
        """Merge reports that are not in the totals yet, at most `limit`, and return how many.

        Those that no rows can have made are refused and quarantined; they are counted too.
        """
        segmenting.close_old(session, now_s)
        taken = _take(session, limit)
        refused: list[Refused] = []
        for (tenant, name), several in sorted(_grouped(taken, _bundle_of).items()):
            known = self._reading.bundle(name)
            if known is None:
                _mark(session, several, WAITING)
            else:
                refused += self._merge(session, (tenant, name), several, known, now_s)
        _mark(session, [report for report, _ in refused], REFUSED)
        put_away(session, [_suspect(*each) for each in refused], now_s)
        count_in(session, {}, Counter((report.tenant, report.device) for report, _ in refused))
        return len(taken)

    def totals(
        self, session: Session, chosen: Sequence[tuple[str, Any]], since: int, until: int
    ) -> dict[Slot, Totals]:
        """Return the totals of the hours from `since` to before `until`, by what they are of."""
        kept = session.scalars(select(TotalsRow).where(*_where(TotalsRow, chosen, since, until)))
        pending = select(*PENDING).where(IS_NEW, *_where(ReportRow, chosen, since, until))
        rows = _grouped(kept, _bundle_of)
        reports = _grouped((Pending(*found) for found in session.execute(pending)), _bundle_of)
        found: dict[Slot, Totals] = {}
        for tenant, name in {**rows, **reports}:
            known = self._reading.bundle(name)
            if known is not None:
                whose = tenant, name
                found |= self._sum(rows.get(whose, []), reports.get(whose, []), known)
        return dict(sorted(found.items()))

    def _merge(
        self,
        session: Session,
        whose: tuple[str, str],
        reports: Sequence[Pending],
        known: KnownBundle,
        now_s: float,
    ) -> list[Refused]:
        """Add reports of one bundle to their hours and segments, and return those that cannot be.

        An hour that can hold no more leaves reports out; a segment ends there.
        """
        good, batch, bad = check(self._reader, sorted(reports, key=_order), known)
        if batch is None:
            return [*bad]
        keys, places = _places(good)
        total, left_out = hours.add(hours.locked(session, keys, known), places, batch)
        hours.keep(session, keys, total)
        inside = [index for index in range(len(good)) if index not in set(left_out)]
        if inside:
            segmenting.add(
                session,
                whose,
                _stretches([good[index] for index in inside], batch.taken(inside)),
                segment_rows=self._segment_rows,
                now_s=now_s,
            )
        return [*bad, *((good[index], _full()) for index in left_out)]

    def _sum(
        self, rows: Sequence[TotalsRow], reports: Sequence[Pending], known: KnownBundle
    ) -> dict[Slot, Totals]:
        """Return totals of one bundle together with the reports that are not in them yet."""
        kept = {hours.key_of(row): row for row in rows}
        good, batch, _ = check(self._reader, reports, known)
        keys, places = _places(good, kept)
        total = hours.of(kept, keys, known)
        if batch is not None:
            total, _ = hours.add(total, places, batch)
        return {
            _slot(key): total.totals(index)
            for index, key in enumerate(keys)
            if total.reports[index]
        }


def waiting_bundles(session: Session) -> list[tuple[str, str]]:
    """Return tenant and digest of the bundles that reports wait for, those heard of last first."""
    query = (
        select(ReportRow.tenant, ReportRow.bundle)
        .where(IS_WAITING)
        .group_by(ReportRow.tenant, ReportRow.bundle)
        .order_by(func.max(ReportRow.arrived_s).desc())
    )
    return [(row.tenant, row.bundle) for row in session.execute(query.limit(MAX_WAITING))]


def release_waiting(session: Session, tenant: str, bundle: str) -> None:
    """Let the reports of a bundle be added up that was not known when they came."""
    session.execute(
        update(ReportRow)
        .where(IS_WAITING, ReportRow.tenant == tenant, ReportRow.bundle == bundle)
        .values(state=NEW)
    )


def _slot(key: Key) -> Slot:
    tenant, device, deployment, bundle, hour = key
    return Slot(tenant=tenant, device=device, deployment=deployment, bundle=bundle, hour=hour)


def _take(session: Session, limit: int) -> list[Pending]:
    """Take reports to be merged: the state says at once that they are."""
    first = select(*KEY).where(IS_NEW).order_by(ReportRow.hour, ReportRow.device)
    chosen = first.limit(limit).with_for_update(skip_locked=True)
    taken = (
        update(ReportRow).where(tuple_(*KEY).in_(chosen)).values(state=MERGED).returning(*PENDING)
    )
    return [*map(Pending._make, session.connection().execute(taken).all())]


def _mark(session: Session, reports: Sequence[Pending], state: str) -> None:
    if reports:
        marked = [dict(zip(_PARAMETERS, report, strict=False)) for report in reports]
        session.connection().execute(_MARK.values(state=state), marked)


_PARAMETERS = tuple(f"{column.key}_" for column in KEY)
_MARK = update(ReportRow).where(*(column == bindparam(f"{column.key}_") for column in KEY))


def _places(reports: Sequence[Pending], keys: Iterable[Key] = ()) -> tuple[list[Key], list[int]]:
    """Return the totals that there are, and to which of them each report belongs."""
    places = {key: index for index, key in enumerate(keys)}
    of = [
        places.setdefault(
            (each.tenant, each.device, each.deployment, each.bundle, each.hour), len(places)
        )
        for each in reports
    ]
    return list(places), of


def _stretches(reports: Sequence[Pending], batch: Batch) -> Stretches:
    return Stretches(
        opened_s=np.array([placed_s(each.opened_s, each.arrived_s) for each in reports]),
        closed_s=np.array([placed_s(each.closed_s, each.arrived_s) for each in reports]),
        devices=[
            {report.device: rows} for report, rows in zip(reports, batch.rows.tolist(), strict=True)
        ],
        batch=batch,
    )


def _order(report: Pending) -> tuple[float, str, str, int, int]:
    """Order reports by when they were closed, as far as that is believed."""
    closed_s = placed_s(report.closed_s, report.arrived_s)
    return closed_s, report.device, report.deployment, report.boot, report.sequence


def _bundle_of(row: Pending | TotalsRow) -> tuple[str, str]:
    return row.tenant, row.bundle


def _grouped(values: Iterable[V], key_of: Callable[[V], K]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = {}
    for value in values:
        groups.setdefault(key_of(value), []).append(value)
    return groups


def _where(
    table: type[ReportRow | TotalsRow], chosen: Sequence[tuple[str, Any]], since: int, until: int
) -> list[ColumnElement[bool]]:
    wanted = [getattr(table, name) == value for name, value in chosen]
    return [*wanted, table.hour >= since, table.hour < until]


def _full() -> DocumentError:
    return DocumentError("does not add up: its hour cannot hold it too")


def _suspect(report: Pending, error: DocumentError) -> tuple[Topic, bytes, tuple[str, str]]:
    topic = Topic(report.tenant, report.device, Kind.REPORT)
    return topic, report.payload or b"", (type(error).__name__, str(error))
