# SPDX-License-Identifier: Apache-2.0
"""How a device joins and how it shows who it is, inside a transaction of the service's."""

import secrets
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from insight_cloud.devices.device import Enrolled
from insight_cloud.devices.rules import (
    SECRET_BYTES,
    Invitation,
    Profiles,
    admit,
    hash_secret,
    match_profile,
    same_secret,
)
from insight_cloud.devices.tables import DeviceRow, InvitationRow
from insight_cloud.devices.timeline import EventKind, News
from insight_cloud.devices.writing import record
from insight_edge.documents.codec import encode_json
from insight_edge.documents.enrolment import EnrolmentRequest
from insight_edge.errors import EnrolmentError


def add_invitation(
    session: Session, tenant: str, device: str | None, *, by: str, expires: datetime, now: datetime
) -> str:
    """Record a new token and return it."""
    token = secrets.token_urlsafe(SECRET_BYTES)
    session.add(
        InvitationRow(
            tenant=tenant,
            token_hash=hash_secret(token),
            device=device,
            by=by,
            created=now,
            expires=expires,
        )
    )
    return token


def add_device(
    session: Session, request: EnrolmentRequest, *, profiles: Profiles, now: datetime
) -> Enrolled:
    """Make the device that a request asks for.

    Raises:
        EnrolmentError: the request is refused; its token is as good as before.
    """
    found = _invitation(session, request.token)
    name = admit(found, request, now)
    tenant = found.tenant if found else ""
    profile = match_profile(request, profiles)
    if session.get(DeviceRow, (tenant, name)) is not None:
        raise EnrolmentError(
            f"there is or was a device '{name}'",
            hint="results are named after their device for ever: take another name",
        )
    _use(session, request.token, name, now)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    row = DeviceRow(
        tenant=tenant,
        name=name,
        profile=profile,
        secret_hash=hash_secret(secret),
        deployments=list(request.deployments),
        facts=encode_json(request.facts).decode(),
        enrolled=now,
        events=0,
    )
    session.add(row)
    session.flush()
    record(session, row, [News(kind=EventKind.ENROLLED, text=f"enrolled as {profile}")], now)
    return Enrolled(
        tenant=tenant, device=name, profile=profile, secret=secret, deployments=request.deployments
    )


def row_of_secret(
    session: Session, secret: str, *, tenant: str | None = None, device: str | None = None
) -> DeviceRow | None:
    """Return the device that a secret belongs to, or None: it is wrong, or the device retired."""
    row = session.scalars(select(DeviceRow).filter_by(secret_hash=hash_secret(secret))).first()
    if row is None or row.secret_hash is None or not same_secret(secret, row.secret_hash):
        return None
    claimed = (tenant or row.tenant, device or row.name)
    return row if claimed == (row.tenant, row.name) else None


def _invitation(session: Session, token: str) -> Invitation | None:
    query = select(InvitationRow).filter_by(token_hash=hash_secret(token))
    row = session.scalars(query).first()
    if row is None:
        return None
    return Invitation(tenant=row.tenant, device=row.device, expires=row.expires, used=row.used)


def _use(session: Session, token: str, device: str, now: datetime) -> None:
    """Spend a token; of two that try at once, one finds it spent."""
    spent = session.execute(
        update(InvitationRow)
        .where(InvitationRow.token_hash == hash_secret(token), InvitationRow.used.is_(None))
        .values(used=now, made=device)
        .returning(InvitationRow.token_hash)
    ).all()
    if not spent:
        raise EnrolmentError("the token has been used", hint="a token makes one device")
