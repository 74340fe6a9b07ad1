# SPDX-License-Identifier: Apache-2.0
"""Let reports be added up that came before their bundle was known, batch by batch.

What they say is looked at then, inside a transaction of the service's.
"""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from insight_cloud.telemetry import pending
from insight_cloud.telemetry.batch import Batch
from insight_cloud.telemetry.checking import check
from insight_cloud.telemetry.heads import ReportHead
from insight_cloud.telemetry.packing import pack_batch
from insight_cloud.telemetry.pending import Pending, Whose
from insight_cloud.telemetry.refusing import Refused, refuse
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.wire import Reader
from insight_edge.errors import InsightEdgeError


def release(session: Session, whose: Whose, known: KnownBundle, now_s: float) -> bool:
    """Release the oldest batch that waits for a bundle; False where none does.

    Reports that no rows can have made are refused and quarantined.
    """
    batch = pending.waiting(session, *whose)
    if batch is None:
        return False
    if batch.payloads is None:
        pending.release(session, batch, batch.reports, batch.counted)
        return True
    good, counted, refused = _read(batch.reports, batch.payloads, known)
    refuse(session, refused, now_s)
    pending.release(session, batch, good, None if counted is None else pack_batch(counted))
    return True


def _read(
    reports: Sequence[Pending], payloads: Sequence[bytes], known: KnownBundle
) -> tuple[Sequence[Pending], Batch | None, Sequence[Refused]]:
    """Return the reports that are good, what they say, and those that cannot be believed."""
    reader = Reader()
    heads: list[ReportHead] = []
    readable: list[int] = []
    bad: dict[int, InsightEdgeError] = {}
    for at, payload in enumerate(payloads):
        try:
            heads.append(reader.read(ReportHead, payload))
        except InsightEdgeError as error:
            bad[at] = error
        else:
            readable.append(at)
    good, counted, broken = check(heads, known)
    bad |= {readable[at]: error for at, error in broken.items()}
    refused = [Refused(reports[at], payloads[at], error) for at, error in sorted(bad.items())]
    return [reports[readable[at]] for at in good], counted, refused
