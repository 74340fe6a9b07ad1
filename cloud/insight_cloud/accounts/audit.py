# SPDX-License-Identifier: Apache-2.0
"""The audit trail: who changed what, written in the very transaction that changes it.

Every domain writes its own rows through `note`; nobody changes or deletes one.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from sqlalchemy import select
from sqlalchemy.orm import Session

from insight_cloud.accounts.rules import one_line
from insight_cloud.accounts.tables import AuditRow
from insight_cloud.platform.schema import TENANT

MAX_NAME = 200
MAX_DETAIL = 1000
"""Longer texts are cut: an audit row is never the reason that a change fails."""

_written = count()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of the trail.

    Attributes:
        id: sorts by time.
        by: a user, `local:<login>` for whoever had a shell on the server, or a program's name.
        action: of what on what, e.g. `rollout.start`.
        subject: what was changed.
    """

    id: str
    at: datetime
    by: str
    action: str
    subject: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Trail:
    """Which rows are asked for; what is None does not matter.

    Attributes:
        action: how it begins, e.g. `rollout` for all of rollouts.
    """

    by: str | None = None
    subject: str | None = None
    action: str | None = None


def note(
    session: Session,
    *,
    by: str,
    action: str,
    subject: str,
    now: datetime,
    detail: str = "",
    tenant: str = TENANT,
) -> None:
    """Write a row in the caller's transaction; texts become one line and are cut."""
    at, place = int(now.timestamp() * 1e6), next(_written) & 0xFFFFFFFF
    session.add(
        AuditRow(
            tenant=tenant,
            id=f"{at:016x}{place:08x}{secrets.token_hex(4)}",
            at=now,
            by=one_line(by)[:MAX_NAME],
            action=one_line(action)[:MAX_NAME],
            subject=one_line(subject)[:MAX_NAME],
            detail=one_line(detail)[:MAX_DETAIL],
        )
    )


def listed(
    session: Session, tenant: str, trail: Trail, *, after: str | None, limit: int
) -> tuple[Entry, ...]:
    """Return rows, the newest first, from before the one with the id `after`."""
    query = select(AuditRow).filter_by(tenant=tenant)
    if trail.by is not None:
        query = query.where(AuditRow.by == trail.by)
    if trail.subject is not None:
        query = query.where(AuditRow.subject == trail.subject)
    if trail.action is not None:
        query = query.where(AuditRow.action.startswith(trail.action, autoescape=True))
    if after is not None:
        query = query.where(AuditRow.id < after)
    rows = session.scalars(query.order_by(AuditRow.id.desc()).limit(limit))
    return tuple(
        Entry(
            id=row.id,
            at=row.at,
            by=row.by,
            action=row.action,
            subject=row.subject,
            detail=row.detail,
        )
        for row in rows
    )
