# SPDX-License-Identifier: Apache-2.0
"""Put away reports that were stored and cannot be added up.

Inside a transaction of the service's.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy.orm import Session

from insight_cloud.telemetry import pending
from insight_cloud.telemetry.health import count_in
from insight_cloud.telemetry.pending import Pending
from insight_cloud.telemetry.quarantine import put_away
from insight_edge.documents.topics import Kind, Topic
from insight_edge.errors import InsightEdgeError


class Refused(NamedTuple):
    """A report that cannot be added up.

    Attributes:
        payload: its message; empty where that is not kept any more.
    """

    report: Pending
    payload: bytes
    error: InsightEdgeError


def refuse(session: Session, refused: Sequence[Refused], now_s: float) -> None:
    """Note that reports are not added up, count and quarantine them."""
    pending.refused(session, [each.report for each in refused])
    put_away(session, [_suspect(each) for each in refused], now_s)
    count_in(session, {}, Counter((each.report.tenant, each.report.device) for each in refused))


def _suspect(refused: Refused) -> tuple[Topic, bytes, tuple[str, str]]:
    """Return what is quarantined: the message, or what is left of it."""
    report, error = refused.report, refused.error
    topic = Topic(report.tenant, report.device, Kind.REPORT)
    kept = refused.payload or msgspec.msgpack.encode(report)
    return topic, kept, (type(error).__name__, str(error))
