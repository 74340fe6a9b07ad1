# SPDX-License-Identifier: Apache-2.0
"""Totals of an hour: how they are kept, and how reports are added to them.

Inside a transaction of the service's.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row as Found
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from insight_cloud.telemetry.batch import Batch, stacked
from insight_cloud.telemetry.keeping import NO_COUNTS, pack, unpack
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.storing import execute_plain, insert_new
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
COLUMNS = (*KEY, *(getattr(TotalsRow, name) for name in KEPT))


def add(held: Batch, places: Sequence[int], added: Batch) -> tuple[Batch, list[int]]:
    """Add reports to totals, each to the one at its place. Pure.

    Returns:
        The totals, and which reports were left out because their total cannot hold them.
    """
    try:
        return _added(held, np.array(places, np.int64), added), []
    except DocumentError:
        if len(added) == 1:
            return held, [0]
    half = len(added) // 2
    held, early = add(held, places[:half], added.taken(slice(0, half)))
    held, late = add(held, places[half:], added.taken(slice(half, None)))
    return held, early + [half + index for index in late]


def _added(held: Batch, places: NDArray[np.int64], added: Batch) -> Batch:
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.diff(places[order], prepend=-1))
    mine = places[order][starts]
    if len(starts) < len(places) or (order[1:] < order[:-1]).any():
        added = added.taken(order).add_groups(starts)
    if len(mine) == len(held):
        return held.plus(added)
    others = np.setdiff1d(np.arange(len(held)), mine)
    both = stacked([held.taken(mine).plus(added), held.taken(others)])
    return both.taken(np.argsort(np.concatenate([mine, others])))


def locked(session: Session, keys: Sequence[Key], known: KnownBundle) -> Batch:
    """Return the totals of one bundle, which nobody else adds to until the transaction ends."""
    found = _locked(session, keys)
    if missing := [key for key in keys if key not in found]:
        zero = dict(zip(KEPT, (*NO_COUNTS, b""), strict=True))
        rows = [zero | dict(zip(_SLOT, key, strict=True)) for key in missing]
        insert_new(session, TotalsRow, rows, [TotalsRow.hour])
        found |= _locked(session, missing)
    return of(found, keys, known)


def of(rows: Mapping[Key, Found[Any]], keys: Sequence[Key], known: KnownBundle) -> Batch:
    """Return totals of one bundle in the order of keys: of no report where there is no row."""
    kept: list[Sequence[Any]] = [rows.get(key, _EMPTY) for key in keys]
    return unpack([row[-1] for row in kept], [row[len(KEY) : -1] for row in kept], known)


def keep(session: Session, keys: Sequence[Key], batch: Batch) -> None:
    """Store totals that were locked."""
    values = zip(keys, batch.reports.tolist(), batch.counts.tolist(), pack(batch), strict=True)
    execute_plain(
        session,
        _KEEP,
        [
            dict(zip(_PARAMETERS, (*key, reports, *counts, statistics), strict=True))
            for key, reports, counts, statistics in values
        ],
    )


def key_of(row: Found[Any]) -> Key:
    """Return what a row of `COLUMNS` is of."""
    key: Key = row[: len(KEY)]
    return key


def _locked(session: Session, keys: Sequence[Key]) -> dict[Key, Found[Any]]:
    """Return the rows of totals of one bundle, hour by hour.

    SQLite reads the whole table for keys that are asked for as tuples.
    """
    found: dict[Key, Found[Any]] = {}
    in_order = sorted(keys, key=itemgetter(4))
    for (tenant, bundle, hour), several in groupby(in_order, key=itemgetter(0, 3, 4)):
        _, devices, deployments, *_ = zip(*several, strict=True)
        chosen = {"tenant": tenant, "bundle": bundle, "hour": hour}
        chosen |= {"devices": sorted({*devices}), "deployments": sorted({*deployments})}
        rows = session.connection().execute(_LOCK, chosen).all()
        found |= {key_of(row): row for row in rows}
    return found


_EMPTY = (None,) * len(KEY) + (*NO_COUNTS, b"")
_SLOT = tuple(column.key for column in KEY)
_PARAMETERS = tuple(f"{name}_" for name in (*_SLOT, *KEPT))
_KEEP = (
    update(TotalsRow)
    .where(*(column == bindparam(f"{column.key}_") for column in KEY))
    .values({name: bindparam(f"{name}_") for name in KEPT})
)
_LOCK = (
    select(*COLUMNS)
    .where(
        TotalsRow.tenant == bindparam("tenant"),
        TotalsRow.bundle == bindparam("bundle"),
        TotalsRow.hour == bindparam("hour"),
        TotalsRow.device.in_(bindparam("devices", expanding=True)),
        TotalsRow.deployment.in_(bindparam("deployments", expanding=True)),
    )
    .order_by(*KEY)
    .with_for_update()
)
