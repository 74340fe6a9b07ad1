# SPDX-License-Identifier: Apache-2.0
"""Keep segments, inside the transaction of the service's that adds their reports up.

At most one segment of a bundle is open. Numbers are never used again: the newest
segment of a bundle is kept, however old it is.
"""

from typing import Any

import msgspec
import numpy as np
from sqlalchemy import Select, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from insight_cloud.telemetry.keeping import counts_of, pack, unpack
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.segments import MAX_AGE_S, Segment, Stretches, grow
from insight_cloud.telemetry.storing import execute_plain, insert_new
from insight_cloud.telemetry.tables import SegmentRow
from insight_cloud.telemetry.totals import COUNTS, Totals


def add(
    session: Session,
    whose: tuple[str, str],
    added: Stretches,
    *,
    segment_rows: int,
    now_s: float,
) -> None:
    """Add reports to the open segment of a bundle, and begin others as they fill up.

    Args:
        session: of the transaction that also adds these reports to the totals.
        whose: tenant and digest of the bundle.
        added: reports, at least one, in their order.
        segment_rows: that make a segment complete.
        now_s: when.
    """
    row = _open_row(session, whose, now_s)
    held = _stretches(row, added.batch.known) if row.reports else None
    grown, is_last_complete = grow(held, added, segment_rows)
    several = _values(grown)
    several[-1]["complete"] = is_last_complete
    for name, value in several[0].items():
        setattr(row, name, value)
    key = {"tenant": whose[0], "bundle": whose[1], "begun_s": now_s}
    following = [
        {**key, **values, "number": row.number + index, "devices": _json(values["devices"])}
        for index, values in enumerate(several[1:], 1)
    ]
    # Under the lock of the open one, so that nobody else has these numbers.
    execute_plain(session, _APPEND, following)


def close_old(session: Session, now_s: float) -> None:
    """Complete the segments that were begun a day ago."""
    session.connection().execute(_CLOSE, {"before_s": now_s - MAX_AGE_S})


def complete(
    session: Session, whose: tuple[str, str], known: KnownBundle, after: int, limit: int
) -> tuple[Segment, ...]:
    """Return the complete segments of a bundle that come after a number, in order."""
    query = _of(whose).where(SegmentRow.complete.is_(True), SegmentRow.number > after)
    ordered = query.order_by(SegmentRow.number).limit(limit)
    rows = session.scalars(ordered).all()
    if not rows:
        return ()
    batch = unpack([row.statistics for row in rows], [counts_of(row) for row in rows], known)
    return tuple(_segment(row, batch.totals(index)) for index, row in enumerate(rows))


def newest(session: Session, tenant: str) -> dict[str, int]:
    """Return the number of the newest complete segment, by bundle."""
    query = (
        select(SegmentRow.bundle, func.max(SegmentRow.number).label("newest"))
        .where(SegmentRow.tenant == tenant, SegmentRow.complete.is_(True))
        .group_by(SegmentRow.bundle)
    )
    found = session.execute(query).all()
    return {row.bundle: row.newest for row in found}


def let_go(session: Session, before_s: float) -> None:
    """Delete the segments that were begun before some time, but for the newest of each bundle."""
    later = aliased(SegmentRow)
    is_followed = (
        select(later.number)
        .where(
            later.tenant == SegmentRow.tenant,
            later.bundle == SegmentRow.bundle,
            later.number > SegmentRow.number,
        )
        .exists()
    )
    session.execute(
        delete(SegmentRow).where(
            SegmentRow.complete.is_(True), SegmentRow.begun_s < before_s, is_followed
        )
    )


def _of(whose: tuple[str, str]) -> Select[SegmentRow]:
    return select(SegmentRow).filter_by(tenant=whose[0], bundle=whose[1])


def _open_row(session: Session, whose: tuple[str, str], now_s: float) -> SegmentRow:
    """Return the open segment, which nobody else adds to until the transaction ends.

    It is the newest: those before it are not looked at, however many there are.
    """
    query = _of(whose).order_by(SegmentRow.number.desc()).limit(1).with_for_update()
    while (found := session.scalars(query).one_or_none()) is None or found.complete:
        empty: dict[str, Any] = dict.fromkeys((*COUNTS, "reports", "rows"), 0)
        empty |= {"opened_s": now_s, "closed_s": now_s, "begun_s": now_s}
        empty |= {"devices": {}, "complete": False, "statistics": b""}
        number = 1 if found is None else found.number + 1
        key = {"tenant": whose[0], "bundle": whose[1], "number": number}
        insert_new(session, SegmentRow, [key | empty], [SegmentRow.number])
    return found


def _values(stretches: Stretches) -> list[dict[str, Any]]:
    batch = stretches.batch
    columns = zip(
        stretches.opened_s.tolist(),
        stretches.closed_s.tolist(),
        map(dict, stretches.devices),
        batch.rows.tolist(),
        batch.reports.tolist(),
        batch.counts.tolist(),
        pack(batch),
        strict=True,
    )
    return [
        {
            "complete": True,
            "opened_s": opened_s,
            "closed_s": closed_s,
            "devices": devices,
            "rows": rows,
            "reports": reports,
            "statistics": statistics,
            **dict(zip(COUNTS, counts, strict=True)),
        }
        for opened_s, closed_s, devices, rows, reports, counts, statistics in columns
    ]


def _json(devices: dict[str, int]) -> str:
    return msgspec.json.encode(devices).decode()


def _stretches(row: SegmentRow, known: KnownBundle) -> Stretches:
    return Stretches(
        opened_s=np.array([row.opened_s]),
        closed_s=np.array([row.closed_s]),
        devices=[row.devices],
        batch=unpack([row.statistics], [counts_of(row)], known),
    )


def _segment(row: SegmentRow, totals: Totals) -> Segment:
    return Segment(
        tenant=row.tenant,
        bundle=row.bundle,
        number=row.number,
        opened_s=row.opened_s,
        closed_s=row.closed_s,
        rows=row.rows,
        devices=row.devices,
        totals=totals,
    )


_APPEND = insert(SegmentRow)
_CLOSE = (
    update(SegmentRow)
    .where(SegmentRow.complete.is_(False), SegmentRow.begun_s <= bindparam("before_s"))
    .values(complete=True)
)
