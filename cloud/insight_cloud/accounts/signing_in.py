# SPDX-License-Identifier: Apache-2.0
"""Sessions and tokens as rows, inside a transaction of the service's."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from insight_cloud.accounts.rules import (
    FREE_GUESSES,
    FREE_GUESSES_OF_ADDRESS,
    GUESSES_KEPT,
    LONGEST,
    LONGEST_WAIT,
    LONGEST_WAIT_OF_ADDRESS,
    NOTED_EACH,
    Actor,
    Role,
    guess_subject,
    lower_of,
    secret_hash,
    session_is_over,
    wait_after,
)
from insight_cloud.accounts.tables import GuessRow, SessionRow, TokenRow, UserRow
from insight_cloud.platform.errors import SlowDownError

MAX_GUESSES = 10_000
MAX_SESSIONS = 50
"""Of one user; the oldest end."""

SECRET_BYTES = 32


def count_guess(session: Session, tenant: str, name: str, address: str, now: datetime) -> None:
    """Count a password as wrong before it is looked at, so that many at once count too.

    Raises:
        SlowDownError: too many were wrong lately; nothing was counted.
    """
    session.execute(delete(GuessRow).where(GuessRow.last < now - GUESSES_KEPT))
    _make_room(session)
    _count(session, (tenant, guess_subject(name, address)), FREE_GUESSES, LONGEST_WAIT, now)
    everyone = (tenant, guess_subject("", address))
    _count(session, everyone, FREE_GUESSES_OF_ADDRESS, LONGEST_WAIT_OF_ADDRESS, now)


def forget_guesses(session: Session, tenant: str, name: str, address: str) -> None:
    """Note that a password was right: only that one counts no longer for its address."""
    subject = guess_subject(name, address)
    session.execute(delete(GuessRow).filter_by(tenant=tenant, subject=subject))
    row = session.get(GuessRow, (tenant, guess_subject("", address)))
    if row is not None:
        row.failures = max(0, row.failures - 1)


def open_session(session: Session, tenant: str, user: str, now: datetime) -> str:
    """Record that someone signed in, and return what their browser shows from now on."""
    session.execute(delete(SessionRow).where(SessionRow.created < now - LONGEST))
    own = select(SessionRow).filter_by(tenant=tenant, user=user)
    for row in session.scalars(own.order_by(SessionRow.seen.desc()).offset(MAX_SESSIONS - 1)):
        session.delete(row)
    token = secrets.token_urlsafe(SECRET_BYTES)
    session.add(
        SessionRow(tenant=tenant, token_hash=secret_hash(token), user=user, created=now, seen=now)
    )
    return token


def find_session(session: Session, token: str, now: datetime) -> SessionRow | None:
    """Return the session of a browser, None where it is over or never was."""
    row = session.scalar(select(SessionRow).filter_by(token_hash=secret_hash(token)))
    return None if row is None or session_is_over(row.created, row.seen, now) else row


def find_token(session: Session, token: str, now: datetime) -> TokenRow | None:
    """Return the token that a program shows, None where it counts no longer or never did."""
    row = session.scalar(select(TokenRow).filter_by(token_hash=secret_hash(token)))
    if row is None or row.revoked is not None:
        return None
    return None if row.expires is not None and row.expires <= now else row


def actor_of(session: Session, row: SessionRow | TokenRow | None) -> Actor | None:
    """Return whom a session or token belongs to, None where that is nobody any more."""
    if row is None:
        return None
    user = session.get(UserRow, (row.tenant, row.user))
    if user is None or user.disabled is not None:
        return None
    role = Role(user.role)
    if not isinstance(row, TokenRow):
        return Actor(name=user.name, role=role, tenant=user.tenant)
    return Actor(
        name=user.name,
        role=lower_of(role, Role(row.role)),
        tenant=user.tenant,
        token=row.id,
        until=row.expires,
    )


def is_stale(row: SessionRow | TokenRow | None, now: datetime) -> bool:
    """Return whether it is time to write down that it was used."""
    if row is None:
        return False
    used = row.used if isinstance(row, TokenRow) else row.seen
    return used is None or now - used >= NOTED_EACH


def _count(
    session: Session, key: tuple[str, str], free: int, longest: timedelta, now: datetime
) -> None:
    row = session.get(GuessRow, key)
    if row is None:
        row = GuessRow(tenant=key[0], subject=key[1], failures=0, last=now, until=now)
        session.add(row)
    if now < row.until:
        raise SlowDownError(max(1, round((row.until - now).total_seconds())))
    row.failures, row.last = row.failures + 1, now
    row.until = now + wait_after(row.failures, free=free, longest=longest)


def _make_room(session: Session) -> None:
    """Leave room for two more; those go that were wrong longest ago."""
    count = session.scalar(select(func.count()).select_from(GuessRow)) or 0
    if count > MAX_GUESSES - 2:
        oldest = select(GuessRow).order_by(GuessRow.last).limit(count - MAX_GUESSES + 2)
        for row in session.scalars(oldest):
            session.delete(row)
