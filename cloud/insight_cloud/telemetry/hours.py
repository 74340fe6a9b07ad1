# SPDX-License-Identifier: Apache-2.0
"""Totals of an hour: how they are kept, and how reports are added to them.

Inside a transaction of the service's.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from sqlalchemy import bindparam, select, tuple_, update
from sqlalchemy.orm import Session

from insight_cloud.telemetry.batch import Batch, stacked
from insight_cloud.telemetry.keeping import NO_COUNTS, counts_of, pack, unpack
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.storing import insert_new
from insight_cloud.telemetry.tables import TotalsRow
from insight_cloud.telemetry.totals import COUNTS
from insight_edge.errors import DocumentError

Key = tuple[str, str, str, str, int]
"""Tenant, device, deployment, bundle and hour."""

KEY = (
    TotalsRow.tenant,
    TotalsRow.device,
    TotalsRow.deployment,
    TotalsRow.bundle,
    TotalsRow.hour,
)
KEPT = ("reports", *COUNTS, "statistics")


def add(held: Batch, places: Sequence[int], added: Batch) -> tuple[Batch, list[int]]:
    """Add reports to totals, each to the one at its place. Pure.

    Returns:
        The totals, and which reports were left out because their total cannot hold them.
    """
    groups = [[index] for index in range(len(held))]
    for index, place in enumerate(places, len(held)):
        groups[place].append(index)
    starts = [0, *accumulate(map(len, groups[:-1]))]
    try:
        order = [index for group in groups for index in group]
        return stacked([held, added]).taken(order).add_groups(starts), []
    except DocumentError:
        if len(added) == 1:
            return held, [0]
    half = len(added) // 2
    held, early = add(held, places[:half], added.taken(slice(0, half)))
    held, late = add(held, places[half:], added.taken(slice(half, None)))
    return held, early + [half + index for index in late]


def locked(session: Session, keys: Sequence[Key], known: KnownBundle) -> Batch:
    """Return the totals of one bundle, which nobody else adds to until the transaction ends."""
    found = _locked(session, keys)
    if missing := [key for key in keys if key not in found]:
        zero = dict(zip(KEPT, (*NO_COUNTS, b""), strict=True))
        rows = [zero | dict(zip(_SLOT, key, strict=True)) for key in missing]
        insert_new(session, TotalsRow, rows, [TotalsRow.hour])
        found |= _locked(session, missing)
    return of(found, keys, known)


def of(rows: Mapping[Key, TotalsRow], keys: Sequence[Key], known: KnownBundle) -> Batch:
    """Return totals of one bundle in the order of keys: of no report where there is no row."""
    kept = [rows.get(key) for key in keys]
    statistics = [b"" if row is None else row.statistics for row in kept]
    counts = [NO_COUNTS if row is None else counts_of(row) for row in kept]
    return unpack(statistics, counts, known)


def keep(session: Session, keys: Sequence[Key], batch: Batch) -> None:
    """Store totals that were locked."""
    values = zip(keys, batch.reports.tolist(), batch.counts.tolist(), pack(batch), strict=True)
    session.connection().execute(
        _KEEP,
        [
            dict(zip(_PARAMETERS, (*key, reports, *counts, statistics), strict=True))
            for key, reports, counts, statistics in values
        ],
    )


def key_of(row: TotalsRow) -> Key:
    """Return what totals are of."""
    return row.tenant, row.device, row.deployment, row.bundle, row.hour


def _locked(session: Session, keys: Sequence[Key]) -> dict[Key, TotalsRow]:
    query = select(TotalsRow).where(tuple_(*KEY).in_(keys)).order_by(*KEY).with_for_update()
    return {key_of(row): row for row in session.scalars(query)}


_SLOT = tuple(column.key for column in KEY)
_PARAMETERS = tuple(f"{name}_" for name in (*_SLOT, *KEPT))
_KEEP = (
    update(TotalsRow)
    .where(*(column == bindparam(f"{column.key}_") for column in KEY))
    .values({name: bindparam(f"{name}_") for name in KEPT})
)
