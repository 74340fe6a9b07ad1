# SPDX-License-Identifier: Apache-2.0
"""What happened in a rollout: decisions with their figures, events, the audit. In a transaction."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import note
from insight_cloud.rollouts.evidence import Evidence
from insight_cloud.rollouts.rollout import Decided, Event
from insight_cloud.rollouts.tables import DecisionRow, EventRow, RolloutRow

MAX_TEXT = 1000
"""Characters of a reason or note: devices write part of it."""


def tell_event(
    session: Session,
    row: RolloutRow,
    kind: str,
    text: str,
    now: datetime,
    *,
    device: str | None = None,
) -> None:
    """Add an event."""
    row.events += 1
    session.add(
        EventRow(
            tenant=row.tenant,
            rollout=row.id,
            number=row.events,
            at=now,
            kind=kind,
            text=text[:MAX_TEXT],
            device=device,
        )
    )


def record(
    session: Session,
    row: RolloutRow,
    decision: str,
    reason: str,
    *,
    by: str,
    now: datetime,
    evidence: Evidence | None = None,
) -> None:
    """Keep a decision with its figures, tell it, and write it to the audit."""
    row.decisions += 1
    row.reason, row.changed = reason[:MAX_TEXT], now
    session.add(
        DecisionRow(
            tenant=row.tenant,
            rollout=row.id,
            number=row.decisions,
            at=now,
            decision=decision,
            reason=row.reason,
            by=by,
            wave=row.wave,
            figures=msgspec.json.encode(evidence or Evidence()).decode(),
        )
    )
    tell_event(session, row, decision, f"{decision.replace('_', ' ')}: {row.reason}", now)
    note(
        session,
        by=by,
        action=f"rollout.{decision}",
        subject=f"rollout/{row.id}",
        now=now,
        detail=f"{row.model}:{row.version} to {row.deployment}: {row.reason}"[:MAX_TEXT],
        tenant=row.tenant,
    )


def decisions_of(session: Session, tenant: str, rollout: int, limit: int) -> tuple[Decided, ...]:
    """Return the last decisions of a rollout, the newest first."""
    query = select(DecisionRow).filter_by(tenant=tenant, rollout=rollout)
    return tuple(
        Decided(
            number=row.number,
            at=row.at,
            decision=row.decision,
            reason=row.reason,
            by=row.by,
            wave=row.wave,
            figures=msgspec.json.decode(row.figures, type=dict[str, Any]),
        )
        for row in session.scalars(query.order_by(DecisionRow.number.desc()).limit(limit))
    )


def events_of(
    session: Session, tenant: str, rollout: int, after: int, limit: int
) -> tuple[Event, ...]:
    """Return what happened in a rollout after an event, the oldest first."""
    query = (
        select(EventRow)
        .filter_by(tenant=tenant, rollout=rollout)
        .where(EventRow.number > after)
        .order_by(EventRow.number)
    )
    return tuple(
        Event(number=row.number, at=row.at, kind=row.kind, text=row.text, device=row.device)
        for row in session.scalars(query.limit(limit))
    )
