# SPDX-License-Identifier: Apache-2.0
"""Outcomes that another system reports to the cloud: read, and stored with an audit row.

Devices report theirs as messages (`taking`); both end in the same table, where the
latest about a result counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import note
from insight_cloud.telemetry import taking
from insight_cloud.telemetry.heads import OutcomeHead
from insight_cloud.telemetry.reading import Values, outcome_row
from insight_cloud.telemetry.rules import Fate
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.delivery import Outcome
from insight_edge.documents.topics import Kind, Topic, check_name
from insight_edge.errors import DocumentError, InsightEdgeError


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What turned out to be true of one result, told by another system.

    Attributes:
        id: of the result, or None where device, deployment and `key` say which.
        key: that the caller passed to `infer`.
        label: class index, class name or number.
        at_s: when it was known, in seconds since the epoch.
    """

    id: str | None = None
    device: str | None = None
    deployment: str | None = None
    key: str | None = None
    label: int | float | str
    at_s: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of outcomes.

    Attributes:
        taken: that are new, or later than what was known.
        known: that change nothing.
        refused: by place in the call, from 0, why one was not taken.
    """

    taken: int
    known: int
    refused: tuple[tuple[int, str], ...]


def read_outcomes(
    tenant: str, learnt: Sequence[Learnt], arrived_s: float
) -> tuple[list[Values], tuple[tuple[int, str], ...]]:
    """Return the rows of outcomes, and by place why others are none."""
    rows, refused = [], []
    for place, one in enumerate(learnt):
        try:
            rows.append(_row(tenant, one, arrived_s))
        except InsightEdgeError as error:
            refused.append((place, str(error)))
    return rows, tuple(refused)


def store_outcomes(
    session: Session, tenant: str, rows: Sequence[Values], *, by: str, now: datetime
) -> int:
    """Store outcomes with an audit row, and return how many were new or later."""
    fates = taking.keep_outcomes(session, rows)
    taken = fates.count(Fate.STORED)
    if taken:
        detail = f"{taken} outcomes, {len(fates) - taken} known already"
        note(
            session,
            by=by,
            action="outcome.take",
            subject="outcomes",
            now=now,
            detail=detail,
            tenant=tenant,
        )
    return taken


def _row(tenant: str, learnt: Learnt, arrived_s: float) -> Values:
    device = learnt.device if learnt.id is None else learnt.id.partition("/")[0]
    if device is None:
        raise DocumentError("outcome: it names no result by id, nor by device, deployment and key")
    outcome = Outcome(
        id=learnt.id,
        key=learnt.key,
        deployment=learnt.deployment,
        label=learnt.label,
        at_s=learnt.at_s,
        source=learnt.source,
    )
    name = digest(encode_json(outcome))
    fields = ("id", "key", "deployment", "label", "at_s", "source")
    try:
        head = msgspec.convert({n: getattr(outcome, n) for n in fields}, OutcomeHead)
    except msgspec.ValidationError as error:
        raise DocumentError(f"outcome: {error}") from error
    topic = Topic(tenant, check_name("device", device), Kind.OUTCOME)
    return outcome_row(topic, head, name, arrived_s)
