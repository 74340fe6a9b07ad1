# SPDX-License-Identifier: Apache-2.0
"""Look measurements up, and what several devices say together."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from statistics import median

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, defer

from insight_cloud.jobs.job import Measured, Wanted
from insight_cloud.jobs.tables import MeasurementRow
from insight_edge.documents.codec import decode_json
from insight_edge.documents.result import BenchResult


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What the devices of a job say of one variant together.

    Attributes:
        devices: whose measurement is VALID.
        p50_ms: the median of theirs; None where there is none.
        spread: of the slowest over the fastest, less one; None of fewer than two.
    """

    variant: str
    devices: int
    p50_ms: float | None
    spread: float | None


def found(
    session: Session, tenant: str, wanted: Wanted, *, after: int, limit: int
) -> tuple[Measured, ...]:
    """Return measurements after a number, in order."""
    query = select(MeasurementRow).filter_by(tenant=tenant).where(MeasurementRow.number > after)
    for field in fields(Wanted):
        value = getattr(wanted, field.name)
        if value is not None:
            query = query.where(getattr(MeasurementRow, field.name) == value)
    return _read(session, query.order_by(MeasurementRow.number).limit(limit))


def of_job(session: Session, tenant: str, job: str) -> tuple[Measured, ...]:
    """Return what the devices of a job measured, by variant and device."""
    query = select(MeasurementRow).filter_by(tenant=tenant, job=job)
    order = MeasurementRow.variant, MeasurementRow.device
    return _read(session, query.order_by(*order))


def figures_of(session: Session, tenant: str, job: str) -> tuple[BenchResult, ...]:
    """Return what the devices of a job measured, by variant and device, without samples."""
    query = select(MeasurementRow.figures).filter_by(tenant=tenant, job=job)
    found = session.scalars(query.order_by(MeasurementRow.variant, MeasurementRow.device))
    return tuple(decode_json(BenchResult, one.encode()) for one in found)


def spreads(results: Iterable[BenchResult]) -> tuple[Spread, ...]:
    """Return what devices say of each variant together, the fastest first. Pure."""
    valid: defaultdict[str, list[float]] = defaultdict(list)
    for one in results:
        held = valid[one.variant]
        if one.measurement.verdict == "VALID":
            held.append(one.measurement.p50_ms.value)
    made = [_spread(variant, p50s) for variant, p50s in valid.items()]
    return tuple(sorted(made, key=lambda one: (one.p50_ms is None, one.p50_ms, one.variant)))


def _spread(variant: str, p50s_ms: list[float]) -> Spread:
    several = len(p50s_ms) > 1 and min(p50s_ms) > 0
    return Spread(
        variant=variant,
        devices=len(p50s_ms),
        p50_ms=median(p50s_ms) if p50s_ms else None,
        spread=max(p50s_ms) / min(p50s_ms) - 1 if several else None,
    )


def _read(session: Session, query: Select[MeasurementRow]) -> tuple[Measured, ...]:
    light = defer(MeasurementRow.figures)
    return tuple(
        Measured(number=row.number, job=row.job, document=row.document)
        for row in session.scalars(query.options(light))
    )
