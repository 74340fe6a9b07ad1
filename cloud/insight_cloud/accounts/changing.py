# SPDX-License-Identifier: Apache-2.0
"""What is changed of a user, inside a transaction of the service's."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import note
from insight_cloud.accounts.rules import Role
from insight_cloud.accounts.tables import SessionRow, UserRow
from insight_cloud.platform.errors import ForbiddenError


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is changed; what is None stays.

    Attributes:
        password_hash: of a new password; sessions end, tokens do not.
        disabled: nothing of the user counts any more, and sessions end; False takes that back.
    """

    role: Role | None = None
    password_hash: str | None = None
    disabled: bool | None = None


def apply(session: Session, row: UserRow, change: Change, *, by: str, now: datetime) -> None:
    """Change a user, with an audit row for each thing that is changed.

    Raises:
        ForbiddenError: nobody would be left who looks after users.
    """
    demoted = change.role not in {None, Role.ADMIN}
    if change.disabled or demoted:
        _refuse_last_admin(session, row)
    told: list[tuple[str, str]] = []
    if change.role is not None:
        row.role = change.role.value
        told.append(("user.role", change.role.value))
    if change.password_hash is not None:
        row.password_hash = change.password_hash
        told.append(("user.password", ""))
    if change.disabled is not None:
        row.disabled = (row.disabled or now) if change.disabled else None
        told.append(("user.disable" if change.disabled else "user.enable", ""))
    if change.disabled or change.password_hash is not None:
        session.execute(delete(SessionRow).filter_by(tenant=row.tenant, user=row.name))
    for action, detail in told:
        note(
            session, by=by, action=action, subject=row.name, now=now, detail=detail,
            tenant=row.tenant,
        )  # fmt: skip


def _refuse_last_admin(session: Session, row: UserRow) -> None:
    if row.role != Role.ADMIN or row.disabled is not None:
        return
    admins = select(UserRow).filter_by(tenant=row.tenant, role=Role.ADMIN.value, disabled=None)
    if not session.scalars(admins.where(UserRow.name != row.name)).first():
        raise ForbiddenError(
            f"'{row.name}' is the only admin", hint="make someone else one, then try again"
        )
