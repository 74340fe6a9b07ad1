# SPDX-License-Identifier: Apache-2.0
"""The use cases of accounts, one transaction each, every change with its audit row.

Passwords are hashed outside of transactions: that is slow on purpose, and nobody
else should wait for it.
"""

import secrets
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import Entry, Trail, listed, note
from insight_cloud.accounts.changing import Change, apply
from insight_cloud.accounts.passwords import hash_password, is_password
from insight_cloud.accounts.rules import (
    Actor,
    Role,
    check_password,
    check_user_name,
    secret_hash,
)
from insight_cloud.accounts.signing_in import (
    SECRET_BYTES,
    actor_of,
    count_guess,
    find_session,
    find_token,
    forget_guesses,
    is_stale,
    open_session,
)
from insight_cloud.accounts.tables import SessionRow, TokenRow, UserRow
from insight_cloud.accounts.user import NewToken, Token, User
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
)
from insight_cloud.platform.schema import TENANT
from insight_edge.errors import ConfigurationError

FIRST_USER = "admin"
NOBODY = "(nobody)"
"""Who tried a password that was wrong; no user can be called so."""

MAX_TOKEN_NAME = 100
MAX_TOKENS = 1000
"""Of one user, those that were revoked not counted."""

Find = Callable[[Session, str, datetime], SessionRow | TokenRow | None]


class Accounts:
    """Who may do what, and what was done; threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def first_user(
        self,
        password: str,
        now: datetime,
        *,
        keep: Callable[[], None] = lambda: None,
        tenant: str = TENANT,
    ) -> bool:
        """Make the user that an installation begins with, an admin; False where there are users.

        Args:
            password: theirs.
            now: when.
            keep: puts the password where it is found; called before the user is there for good, so
                that nobody is ever locked out, and by one alone of several who try at once.
            tenant: whose.

        Raises:
            ConfigurationError: the password cannot be used.
            StorageError: it could not be kept, and there is no user.
        """
        check_password(FIRST_USER, password)
        kept = hash_password(password)
        with self._database.write() as session:
            if session.scalar(select(func.count()).select_from(UserRow).filter_by(tenant=tenant)):
                return False
            session.add(_user_row(tenant, FIRST_USER, kept, Role.ADMIN, now))
            note(
                session, by="insight-cloud up", action="user.create", subject=FIRST_USER, now=now,
                detail="the first user", tenant=tenant,
            )  # fmt: skip
            keep()
        return True

    def has_password(self, name: str, password: str, *, tenant: str = TENANT) -> bool:
        """Return whether that is a user's password; for whoever may read the database anyway."""
        with self._database.read() as session:
            user = session.get(UserRow, (tenant, name))
            kept = None if user is None else user.password_hash
        return is_password(kept, password)

    def sign_in(
        self, name: str, password: str, *, address: str, now: datetime, tenant: str = TENANT
    ) -> str:
        """Return a new session's token, which the browser shows from now on.

        Args:
            name: of the user.
            password: theirs.
            address: where it was typed; wrong passwords are counted by name and address.
            now: when.
            tenant: whose.

        Raises:
            UnauthenticatedError: name or password is wrong, it does not say which, or too many
                were wrong lately.
        """
        with self._database.write() as session:
            count_guess(session, tenant, name, address, now)
            user = session.get(UserRow, (tenant, name))
            kept = None if user is None or user.disabled is not None else user.password_hash
        right = is_password(kept, password)
        with self._database.write() as session:
            user = session.get(UserRow, (tenant, name))
            known = NOBODY if user is None else user.name
            if right and user is not None and _still(user, kept):
                note(
                    session, by=known, action="session.open", subject=known, now=now,
                    detail=address, tenant=tenant,
                )  # fmt: skip
                forget_guesses(session, tenant, name, address)
                return open_session(session, tenant, name, now)
            # What is no user's name may be a password in the wrong field: it is not kept.
            note(
                session, by=NOBODY, action="session.refuse", subject=known, now=now,
                detail=address, tenant=tenant,
            )  # fmt: skip
        raise UnauthenticatedError("name or password is wrong")

    def sign_out(self, token: str, *, now: datetime) -> None:
        """End a session; one that is over already stays so."""
        with self._database.write() as session:
            row = find_session(session, token, now)
            if row is not None:
                note(
                    session, by=row.user, action="session.close", subject=row.user, now=now,
                    tenant=row.tenant,
                )  # fmt: skip
                session.delete(row)

    def by_session(self, token: str, now: datetime) -> Actor | None:
        """Return who is signed in with a session, None where it does not count."""
        return self._recognise(find_session, token, now)

    def by_token(self, token: str, now: datetime) -> Actor | None:
        """Return who a program acts for with a token, None where it does not count."""
        return self._recognise(find_token, token, now)

    def users(self, *, tenant: str = TENANT) -> tuple[User, ...]:
        """Return all users by name, those who are disabled too."""
        with self._database.read() as session:
            rows = session.scalars(select(UserRow).filter_by(tenant=tenant).order_by(UserRow.name))
            return tuple(_user(row) for row in rows)

    def user(self, name: str, *, tenant: str = TENANT) -> User:
        """Return one user.

        Raises:
            NotFoundError: there is no such one.
        """
        with self._database.read() as session:
            return _user(_found(session, tenant, name))

    def create_user(
        self, name: str, password: str, role: Role, *, by: str, now: datetime, tenant: str = TENANT
    ) -> User:
        """Make a user.

        Raises:
            ConfigurationError: name or password cannot be used.
            ConflictError: there is one of that name.
        """
        check_user_name(name)
        check_password(name, password)
        kept = hash_password(password)
        with self._database.write() as session:
            if session.get(UserRow, (tenant, name)) is not None:
                raise ConflictError(f"there is a user '{name}'", hint="choose another name")
            row = _user_row(tenant, name, kept, role, now)
            session.add(row)
            note(
                session, by=by, action="user.create", subject=name, now=now, detail=role.value,
                tenant=tenant,
            )  # fmt: skip
            return _user(row)

    def change_user(
        self,
        name: str,
        *,
        by: str,
        now: datetime,
        role: Role | None = None,
        password: str | None = None,
        disabled: bool | None = None,
        tenant: str = TENANT,
    ) -> User:
        """Change what is given of a user, all of it or nothing.

        Args:
            name: of the user.
            by: who.
            now: when.
            role: what they may do from now on, with what they signed in with before too.
            password: a new one; their sessions end, their tokens do not.
            disabled: nothing of theirs counts any more, and their sessions end; False takes it
                back, and tokens that were not revoked count again.
            tenant: whose.

        Raises:
            NotFoundError: there is no such user.
            ConfigurationError: the password cannot be used.
            ForbiddenError: nobody would be left who looks after users.
        """
        kept = None
        if password is not None:
            check_password(name, password)
            kept = hash_password(password)
        with self._database.write() as session:
            row = _found(session, tenant, name)
            change = Change(role=role, password_hash=kept, disabled=disabled)
            apply(session, row, change, by=by, now=now)
            return _user(row)

    def set_password(
        self, name: str, password: str, *, by: str, now: datetime, tenant: str = TENANT
    ) -> None:
        """Replace a user's password; raises as `change_user`."""
        self.change_user(name, password=password, by=by, now=now, tenant=tenant)

    def set_role(
        self, name: str, role: Role, *, by: str, now: datetime, tenant: str = TENANT
    ) -> User:
        """Let a user do more or less; raises as `change_user`."""
        return self.change_user(name, role=role, by=by, now=now, tenant=tenant)

    def disable_user(self, name: str, *, by: str, now: datetime, tenant: str = TENANT) -> User:
        """Let nothing of a user count any more; raises as `change_user`."""
        return self.change_user(name, disabled=True, by=by, now=now, tenant=tenant)

    def enable_user(self, name: str, *, by: str, now: datetime, tenant: str = TENANT) -> User:
        """Let a user sign in again; raises as `change_user`."""
        return self.change_user(name, disabled=False, by=by, now=now, tenant=tenant)

    def issue_token(
        self,
        user: str,
        name: str,
        role: Role,
        *,
        by: str,
        now: datetime,
        expires: datetime | None = None,
        tenant: str = TENANT,
    ) -> NewToken:
        """Make a token for a program of a user.

        Raises:
            NotFoundError: there is no such user.
            ConfigurationError: the name is empty or too long, or it expires at once.
            ForbiddenError: the role allows more than the user's.
        """
        if not 1 <= len(name) <= MAX_TOKEN_NAME or not name.isprintable():
            raise ConfigurationError(f"a token's name has 1 to {MAX_TOKEN_NAME} characters")
        if expires is not None and expires <= now:
            raise ConfigurationError("this token would have expired already")
        if not name.strip():
            raise ConfigurationError("a token's name says what it is for")
        secret = secrets.token_urlsafe(SECRET_BYTES)
        with self._database.write() as session:
            owner = _found(session, tenant, user)
            if not Role(owner.role).allows(role):
                raise ForbiddenError(f"{user} is {owner.role}: a token cannot be {role.value}")
            _refuse_many(session, owner)
            row = TokenRow(
                tenant=tenant,
                id=secrets.token_hex(8),
                token_hash=secret_hash(secret),
                user=user,
                name=name,
                role=role.value,
                created=now,
                expires=expires,
            )
            session.add(row)
            note(
                session, by=by, action="token.issue", subject=user, now=now,
                detail=f"{row.id} '{name}', {role.value}", tenant=tenant,
            )  # fmt: skip
            return NewToken(token=_token(row), secret=secret)

    def revoke_token(self, token: str, *, by: str, now: datetime, tenant: str = TENANT) -> Token:
        """Let a token, named by its id, count no longer.

        Raises:
            NotFoundError: there is no such one.
        """
        with self._database.write() as session:
            row = session.get(TokenRow, (tenant, token))
            if row is None:
                raise NotFoundError(f"there is no token {token[:64]}")
            row.revoked = row.revoked or now
            note(
                session, by=by, action="token.revoke", subject=row.user, now=now, detail=row.id,
                tenant=tenant,
            )  # fmt: skip
            return _token(row)

    def tokens(self, user: str | None = None, *, tenant: str = TENANT) -> tuple[Token, ...]:
        """Return the tokens of a user or of all, the newest first."""
        query = select(TokenRow).filter_by(tenant=tenant)
        if user is not None:
            query = query.filter_by(user=user)
        with self._database.read() as session:
            rows = session.scalars(query.order_by(TokenRow.created.desc(), TokenRow.id))
            return tuple(_token(row) for row in rows)

    def audit(
        self,
        trail: Trail | None = None,
        *,
        after: str | None = None,
        limit: int = 100,
        tenant: str = TENANT,
    ) -> tuple[Entry, ...]:
        """Return what was changed, the newest first, from before the row with the id `after`."""
        with self._database.read() as session:
            return listed(
                session, tenant, trail or Trail(), after=after, limit=min(max(0, limit), 1000)
            )

    def _recognise(self, find: Find, secret: str, now: datetime) -> Actor | None:
        with self._database.read() as session:
            row = find(session, secret, now)
            actor, stale = actor_of(session, row), is_stale(row, now)
        if actor is not None and stale:
            with self._database.write() as session:
                _note_use(find(session, secret, now), now)
        return actor


def _note_use(row: SessionRow | TokenRow | None, now: datetime) -> None:
    if isinstance(row, TokenRow):
        row.used = now
    elif row is not None:
        row.seen = now


def _still(user: UserRow, kept: str | None) -> bool:
    """Return whether a password that was looked at meanwhile is still the user's."""
    return user.disabled is None and user.password_hash == kept


def _refuse_many(session: Session, owner: UserRow) -> None:
    own = select(func.count()).select_from(TokenRow).filter_by(tenant=owner.tenant, revoked=None)
    if (session.scalar(own.filter_by(user=owner.name)) or 0) >= MAX_TOKENS:
        raise ConflictError(f"{owner.name} has {MAX_TOKENS} tokens", hint="revoke some")


def _found(session: Session, tenant: str, name: str) -> UserRow:
    row = session.get(UserRow, (tenant, name))
    if row is None:
        raise NotFoundError(f"there is no user '{name[:64]}'")
    return row


def _user_row(tenant: str, name: str, kept: str, role: Role, now: datetime) -> UserRow:
    return UserRow(tenant=tenant, name=name, password_hash=kept, role=role.value, created=now)


def _user(row: UserRow) -> User:
    return User(name=row.name, role=Role(row.role), created=row.created, disabled=row.disabled)


def _token(row: TokenRow) -> Token:
    return Token(
        id=row.id,
        user=row.user,
        name=row.name,
        role=Role(row.role),
        created=row.created,
        expires=row.expires,
        revoked=row.revoked,
        used=row.used,
    )
