# SPDX-License-Identifier: Apache-2.0
"""The latest windows of a deployment, one by one, inside a transaction of the service's."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from insight_cloud.telemetry.tables import REFUSED, ReportRow
from insight_cloud.telemetry.totals import COUNTS
from insight_edge.documents.report import Counts


@dataclass(frozen=True, kw_only=True)
class WindowFigures:
    """What is asked of one report most.

    Attributes:
        opened_s, closed_s: by the device's clock.
        arrived_s: by the cloud's.
        p99_ns: latency that 1 % of the calls exceeded; None without a call.
    """

    boot: int
    sequence: int
    bundle: str
    opened_s: float
    closed_s: float
    arrived_s: float
    counts: Counts
    p99_ns: int | None


def latest(
    session: Session, tenant: str, device: str, deployment: str, limit: int
) -> tuple[WindowFigures, ...]:
    """Return the latest windows, the newest first by boot and sequence; no clock is asked."""
    query = (
        select(ReportRow)
        .filter_by(tenant=tenant, device=device, deployment=deployment)
        .where(ReportRow.state != REFUSED)
        .order_by(ReportRow.boot.desc(), ReportRow.sequence.desc())
        .limit(limit)
    )
    return tuple(
        WindowFigures(
            boot=row.boot,
            sequence=row.sequence,
            bundle=row.bundle,
            opened_s=row.opened_s,
            closed_s=row.closed_s,
            arrived_s=row.arrived_s,
            counts=Counts(**{name: getattr(row, name) for name in COUNTS}),
            p99_ns=row.p99_ns,
        )
        for row in session.scalars(query)
    )
