# SPDX-License-Identifier: Apache-2.0
"""Reports that are not added up yet, as they came together, inside a transaction of the service's.

What is read of a report when it is added up is kept by batches, and gone after; a row a
report would be written twice. What is asked of a report later is in its own row.
"""

import secrets
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import count
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from insight_cloud.telemetry.checking import Counted
from insight_cloud.telemetry.packing import PackedBatch, pack_batch
from insight_cloud.telemetry.storing import insert_unseen
from insight_cloud.telemetry.tables import (
    IS_NEW,
    IS_WAITING,
    MERGED,
    NEW,
    REFUSED,
    WAITING,
    PendingRow,
    ReportRow,
)

MAX_WAITING = 1000
"""Unknown bundles that are looked for; a device can name as many as it likes."""

MAX_REPORTS = 200
"""In a batch: they are added up together, or none."""

Whose = tuple[str, str]
"""Tenant, and digest of a bundle."""


class Pending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is needed of the row of a report to add it up."""

    tenant: str
    device: str
    deployment: str
    boot: int
    sequence: int
    bundle: str
    hour: int
    opened_s: float
    closed_s: float
    arrived_s: float


class Stored(NamedTuple):
    """A report that was stored.

    Attributes:
        counted: what it says; None where its bundle is not known.
    """

    row: dict[str, Any]
    payload: bytes
    counted: Counted | None


class PendingBatch(NamedTuple):
    """Reports of one bundle that came together.

    Attributes:
        payloads: of reports whose bundle was not known when they came; else None.
        counted: what they say; None where their bundle was not known.
    """

    id: str
    whose: Whose
    reports: Sequence[Pending]
    payloads: Sequence[bytes] | None
    counted: PackedBatch | None


class _Packed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    reports: list[Pending]
    payloads: list[bytes] | None = None
    counted: PackedBatch | None = None


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Packed)
_named = count()


def name_batches(rows: Iterable[dict[str, Any]]) -> None:
    """Give each of some reports that came together the name of the batch that it goes into."""
    names: dict[Hashable, tuple[str, int]] = {}
    for row in rows:
        if row["state"] == REFUSED:
            row["batch"] = None
            continue
        one = row["tenant"], row["bundle"], row["state"]
        name, held = names.get(one, ("", MAX_REPORTS))
        if held == MAX_REPORTS:
            name, held = _new_name(row["arrived_s"]), 0
        row["batch"] = name
        names[one] = name, held + 1


def keep(session: Session, stored: Iterable[Stored]) -> None:
    """Keep what is to be added up of reports that were stored."""
    batches: dict[str, list[Stored]] = {}
    for each in stored:
        batches.setdefault(each.row["batch"], []).append(each)
    insert_unseen(session, PendingRow, [_row(several) for several in batches.values()])


def take(session: Session, limit: int) -> list[PendingBatch]:
    """Take the oldest batches to be added up: at most `limit` reports, or one batch of more."""
    oldest = select(PendingRow.id, PendingRow.reports).where(IS_NEW).order_by(PendingRow.id)
    names: list[str] = []
    for name, reports in session.execute(oldest.limit(limit).with_for_update(skip_locked=True)):
        limit -= reports
        if names and limit < 0:
            break
        names.append(name)
    return _read(session, [IS_NEW, PendingRow.id.in_(names)]) if names else []


def listed(session: Session, chosen: Mapping[str, str]) -> list[PendingBatch]:
    """Return the batches that are still to be added up, of a tenant or bundle."""
    common = {name: value for name, value in chosen.items() if name in {"tenant", "bundle"}}
    return _read(session, [IS_NEW, *(getattr(PendingRow, n) == v for n, v in common.items())])


def waiting(session: Session, tenant: str, bundle: str) -> PendingBatch | None:
    """Return the oldest batch that waits for a bundle."""
    of_it = (IS_WAITING, PendingRow.tenant == tenant, PendingRow.bundle == bundle)
    oldest = select(func.min(PendingRow.id)).where(*of_it).scalar_subquery()
    return next(iter(_read(session, [*of_it, PendingRow.id == oldest])), None)


def added(session: Session, batches: Sequence[PendingBatch]) -> None:
    """Let go of batches that were added up."""
    names = [batch.id for batch in batches]
    done = update(ReportRow).where(ReportRow.batch.in_(names)).values(state=MERGED, batch=None)
    session.connection().execute(done)
    session.connection().execute(delete(PendingRow).where(IS_NEW, PendingRow.id.in_(names)))


def refused(session: Session, reports: Iterable[Pending]) -> None:
    """Note that some reports cannot be added up."""
    if marked := [{f"{c.key}_": getattr(each, c.key) for c in _KEY} for each in reports]:
        session.connection().execute(_REFUSE, marked)


def wait(session: Session, batches: Sequence[PendingBatch]) -> None:
    """Let batches wait for their bundle, which is not known."""
    names = [batch.id for batch in batches]
    _move(session, [IS_NEW, PendingRow.id.in_(names)], state=WAITING)


def waiting_bundles(session: Session) -> list[Whose]:
    """Return tenant and digest of the bundles that reports wait for, those heard of last first."""
    query = (
        select(PendingRow.tenant, PendingRow.bundle)
        .where(IS_WAITING)
        .group_by(PendingRow.tenant, PendingRow.bundle)
        .order_by(func.max(PendingRow.arrived_s).desc())
    )
    return [(row.tenant, row.bundle) for row in session.execute(query.limit(MAX_WAITING))]


def release(
    session: Session, batch: PendingBatch, reports: Sequence[Pending], counted: PackedBatch | None
) -> None:
    """Let reports of a batch be added up whose bundle is known by now, with what they say."""
    mine = PendingRow.tenant == batch.whose[0], PendingRow.id == batch.id
    if not reports:
        session.execute(delete(PendingRow).where(*mine))
        return
    packed = _encoder.encode(_Packed([*reports], counted=counted))
    session.execute(
        update(PendingRow).where(*mine).values(state=NEW, reports=len(reports), packed=packed)
    )
    session.execute(update(ReportRow).where(ReportRow.batch == batch.id).values(state=NEW))


def give_up(session: Session, before_s: float) -> None:
    """Let go of reports that came before some time and whose bundle never became known."""
    is_old = PendingRow.arrived_s < before_s
    _set(session, [IS_WAITING, is_old], state=REFUSED, batch=None)
    session.execute(delete(PendingRow).where(IS_WAITING, is_old))


def _new_name(arrived_s: float) -> str:
    """Return a name; names sort by when batches came."""
    return f"{int(arrived_s * 1e6):016x}{next(_named) & 0xFFFFFFFF:08x}{secrets.token_hex(4)}"


def _read(session: Session, where: Sequence[Any]) -> list[PendingBatch]:
    columns = (PendingRow.id, PendingRow.tenant, PendingRow.bundle, PendingRow.packed)
    query = select(*columns).where(*where).order_by(PendingRow.id)
    found = []
    for name, tenant, bundle, packed in session.execute(query):
        held = _decoder.decode(packed)
        whose = tenant, bundle
        found.append(PendingBatch(name, whose, held.reports, held.payloads, held.counted))
    return found


def _move(session: Session, where: Sequence[Any], *, state: str) -> None:
    _set(session, where, state=state)
    session.execute(update(PendingRow).where(*where).values(state=state))


def _set(session: Session, where: Sequence[Any], **values: Any) -> None:
    """Set columns of the reports in some batches."""
    of_these = ReportRow.batch.in_(select(PendingRow.id).where(*where))
    session.execute(update(ReportRow).where(of_these).values(values))


def _row(several: Sequence[Stored]) -> dict[str, Any]:
    first = several[0].row
    reports = [Pending(*_values_of(each.row)) for each in several]
    counted = [each.counted for each in several if each.counted is not None]
    if len(counted) == len(several):
        batch, places = counted[0].batch, [each.place for each in counted]
        if places != [*range(len(batch))]:
            batch = batch.taken(places)
        packed = _Packed(reports, counted=pack_batch(batch))
    else:
        packed = _Packed(reports, payloads=[each.payload for each in several])
    return {
        "tenant": first["tenant"],
        "id": first["batch"],
        "bundle": first["bundle"],
        "state": first["state"],
        "arrived_s": first["arrived_s"],
        "reports": len(reports),
        "packed": _encoder.encode(packed),
    }


_values_of = itemgetter(*Pending.__struct_fields__)
_KEY = tuple(ReportRow.__table__.primary_key)
_REFUSE = (
    update(ReportRow)
    .where(*(column == bindparam(f"{column.key}_") for column in _KEY))
    .values(state=REFUSED, batch=None)
)
