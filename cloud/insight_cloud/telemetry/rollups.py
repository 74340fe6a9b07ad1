# SPDX-License-Identifier: Apache-2.0
"""Add reports up to totals of an hour and to segments, inside a transaction of the service's.

A report is in the totals once: in the very transaction that adds it, it is pending no
longer. Until then whoever reads totals adds it for himself, so that they are exact at
any moment.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import numpy as np
from sqlalchemy import ColumnElement, select
from sqlalchemy import Row as Found
from sqlalchemy.orm import Session

from insight_cloud.telemetry import hours, pending, segmenting
from insight_cloud.telemetry.batch import Batch, stacked
from insight_cloud.telemetry.hours import Key
from insight_cloud.telemetry.packing import unpack_batch
from insight_cloud.telemetry.pending import Pending, PendingBatch, Whose
from insight_cloud.telemetry.reading import Reading
from insight_cloud.telemetry.refusing import Refused, refuse
from insight_cloud.telemetry.rules import KnownBundle, placed_s
from insight_cloud.telemetry.segments import Stretches
from insight_cloud.telemetry.tables import TotalsRow
from insight_cloud.telemetry.totals import Totals
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
        self._segment_rows = segment_rows

    def merge_new(self, session: Session, limit: int, now_s: float) -> int:
        """Merge reports that are not in the totals yet, and return how many.

        They are at most `limit`, or one batch of more. Those that their hour cannot hold are
        refused and quarantined; they are counted too.
        """
        segmenting.close_old(session, now_s)
        batches = _grouped(pending.take(session, limit), attrgetter("whose"))
        refused: list[Refused] = []
        for (tenant, name), several in sorted(batches.items()):
            known = self._reading.bundle(name)
            if known is None:
                pending.wait(session, several)
            else:
                pending.added(session, several)
                new = _joined([_read(each, known) for each in several])
                refused += self._merge(session, (tenant, name), new, now_s)
        refuse(session, refused, now_s)
        return sum(len(batch.reports) for several in batches.values() for batch in several)

    def totals(
        self, session: Session, chosen: Mapping[str, str], since: int, until: int
    ) -> dict[Slot, Totals]:
        """Return the totals of the hours from `since` to before `until`, by what they are of."""
        kept = session.execute(select(*hours.COLUMNS).where(*_where(chosen, since, until)))
        rows = _grouped(kept, lambda row: (row.tenant, row.bundle))
        batches = _grouped(pending.listed(session, chosen), attrgetter("whose"))
        found: dict[Slot, Totals] = {}
        for whose in {**rows, **batches}:
            known = self._reading.bundle(whose[1])
            if known is not None:
                new = [_read(each, known) for each in batches.get(whose, [])]
                some = [each.taken(_within(each.reports, chosen, since, until)) for each in new]
                found |= _sum(rows.get(whose, []), _joined(some), known)
        return dict(sorted(found.items()))

    def _merge(self, session: Session, whose: Whose, new: "_New", now_s: float) -> list[Refused]:
        """Add reports of one bundle to their hours and segments, and return those that cannot be.

        An hour that can hold no more leaves reports out; a segment ends there.
        """
        reports = new.reports
        new = new.taken(sorted(range(len(reports)), key=lambda at: _order(reports[at])))
        if new.batch is None:
            return []
        keys, places = _places(new.reports)
        total, left_out = hours.add(hours.locked(session, keys, new.batch.known), places, new.batch)
        hours.keep(session, keys, total)
        inside = new.without(left_out)
        if inside.batch is not None:
            segmenting.add(
                session,
                whose,
                _stretches(inside.reports, inside.batch),
                segment_rows=self._segment_rows,
                now_s=now_s,
            )
        return [Refused(new.reports[at], b"", _full()) for at in left_out]


class _New(NamedTuple):
    """Reports of one bundle and what they say; no batch where there is none."""

    reports: Sequence[Pending]
    batch: Batch | None

    def taken(self, places: Sequence[int]) -> "_New":
        """Return some of them, in the order asked for."""
        if self.batch is None or not places:
            return _New((), None)
        return _New([self.reports[at] for at in places], self.batch.taken(places))

    def without(self, places: Sequence[int]) -> "_New":
        """Return all but some of them."""
        out = set(places)
        return self.taken([at for at in range(len(self.reports)) if at not in out]) if out else self


def _read(batch: PendingBatch, known: KnownBundle) -> _New:
    counted = batch.counted
    return _New(batch.reports, None if counted is None else unpack_batch(counted, known))


def _joined(parts: Sequence[_New]) -> _New:
    batches = [part.batch for part in parts if part.batch is not None]
    reports = [report for part in parts for report in part.reports]
    return _New(reports, stacked(batches) if batches else None)


def _within(
    reports: Sequence[Pending], chosen: Mapping[str, str], since: int, until: int
) -> list[int]:
    """Return the places of the reports of some hours that have these values."""
    return [
        place
        for place, report in enumerate(reports)
        if since <= report.hour < until
        and all(getattr(report, name) == value for name, value in chosen.items())
    ]


def _sum(rows: Sequence[Found[Any]], new: _New, known: KnownBundle) -> dict[Slot, Totals]:
    """Return totals of one bundle together with the reports that are not in them yet."""
    kept = {hours.key_of(row): row for row in rows}
    keys, places = _places(new.reports, kept)
    if not keys:
        return {}
    total = hours.of(kept, keys, known)
    if new.batch is not None:
        total, _ = hours.add(total, places, new.batch)
    return {
        _slot(key): total.totals(index) for index, key in enumerate(keys) if total.reports[index]
    }


def _slot(key: Key) -> Slot:
    tenant, device, deployment, bundle, hour = key
    return Slot(tenant=tenant, device=device, deployment=deployment, bundle=bundle, hour=hour)


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


def _grouped(values: Iterable[V], key_of: Callable[[V], K]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = {}
    for value in values:
        groups.setdefault(key_of(value), []).append(value)
    return groups


def _where(chosen: Mapping[str, str], since: int, until: int) -> list[ColumnElement[bool]]:
    wanted = [getattr(TotalsRow, name) == value for name, value in chosen.items()]
    return [*wanted, TotalsRow.hour >= since, TotalsRow.hour < until]


def _full() -> DocumentError:
    return DocumentError("does not add up: its hour cannot hold it too")
