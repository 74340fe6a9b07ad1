# SPDX-License-Identifier: Apache-2.0
"""What whoever guesses passwords gets: little, slowly, and the same for every name."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher
from fastapi import Request, Response
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from insight_cloud.accounts import passwords, service, signing_in
from insight_cloud.accounts.api import set_session
from insight_cloud.accounts.audit import note
from insight_cloud.accounts.rules import (
    FREE_GUESSES_OF_ADDRESS,
    LONGEST_WAIT_OF_ADDRESS,
    Role,
    one_line,
)
from insight_cloud.accounts.service import NOBODY, Accounts
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import (
    ConflictError,
    ForbiddenError,
    SlowDownError,
    UnauthenticatedError,
)
from insight_edge.errors import ConfigurationError

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
PASSWORD = "plain words are fine"
OTHER = "some other plain words"
HERE = "127.0.0.1"


class Counting(PasswordHasher):
    """A cheap hasher that knows how often it compared, and how often at once."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.compared: list[str] = []
        self.inside = self.most = 0
        self.linger_s = 0.0
        self._changed = threading.Condition()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
        with self._changed:
            self.compared.append(str(hash).rsplit("$", 2)[0])
            self.inside += 1
            self.most = max(self.most, self.inside)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most > passwords.AT_ONCE, self.linger_s)
        try:
            return super().verify(hash, password)
        finally:
            with self._changed:
                self.inside -= 1


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting()
    monkeypatch.setattr(passwords, "_hasher", made)
    passwords._nobody.cache_clear()
    return made


@pytest.fixture
def accounts(database: Database, hasher: Counting) -> Accounts:
    del hasher
    made = Accounts(database)
    made.first_user(PASSWORD, NOW)
    return made


def wrong(accounts: Accounts, name: str, now: datetime = NOW) -> UnauthenticatedError:
    with pytest.raises(UnauthenticatedError) as caught:
        accounts.sign_in(name, "wrong wrong wrong", address=HERE, now=now)
    return caught.value


def test_every_name_costs_the_same_work(accounts: Accounts, hasher: Counting) -> None:
    accounts.create_user("gone", PASSWORD, Role.VIEWER, by="x", now=NOW)
    accounts.disable_user("gone", by="x", now=NOW)
    for name in ("admin", "no-such-user", "gone", ""):
        hasher.compared.clear()
        assert str(wrong(accounts, name)) == "name or password is wrong"
        assert len(hasher.compared) == 1
        assert hasher.compared[0].endswith("m=64,t=1,p=1")
    with pytest.raises(UnauthenticatedError, match=r"^name or password is wrong$"):
        accounts.sign_in("gone", PASSWORD, address=HERE, now=NOW)


def test_few_passwords_are_compared_at_once(accounts: Accounts, hasher: Counting) -> None:
    hasher.linger_s = 0.1
    names = [f"user-{number}" for number in range(6)]
    threads = [threading.Thread(target=wrong, args=(accounts, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hasher.compared) == len(names)
    assert hasher.most <= passwords.AT_ONCE


def test_an_address_is_slowed_down_whatever_names_it_tries(accounts: Accounts) -> None:
    for number in range(FREE_GUESSES_OF_ADDRESS):
        assert not isinstance(wrong(accounts, f"user-{number}"), SlowDownError)
    kept = len(accounts.audit(limit=1000))
    found = wrong(accounts, "one-more")
    assert isinstance(found, SlowDownError)
    assert found.wait_s == 1
    assert len(accounts.audit(limit=1000)) == kept  # what is not looked at fills no table
    with pytest.raises(SlowDownError):
        accounts.sign_in("admin", PASSWORD, address=HERE, now=NOW)
    assert accounts.sign_in("admin", PASSWORD, address="10.0.0.9", now=NOW)
    assert accounts.sign_in("admin", PASSWORD, address=HERE, now=NOW + LONGEST_WAIT_OF_ADDRESS)


def test_right_passwords_never_slow_an_address_down(accounts: Accounts) -> None:
    for _ in range(FREE_GUESSES_OF_ADDRESS + 5):
        accounts.sign_in("admin", PASSWORD, address=HERE, now=NOW)


def test_guesses_are_forgotten_at_a_bound(
    accounts: Accounts, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_in, "MAX_GUESSES", 6)
    for number in range(20):
        at = NOW + timedelta(seconds=number)
        with pytest.raises(UnauthenticatedError):
            accounts.sign_in("admin", "wrong", address=f"10.0.0.{number}", now=at)
    with database.read() as session:
        assert session.execute(text("SELECT count(*) FROM accounts_guess")).scalar() == 6


def test_what_was_typed_as_a_name_is_nowhere(accounts: Accounts, database: Database) -> None:
    wrong(accounts, "my secret password")
    wrong(accounts, "local:root")
    for entry in accounts.audit(limit=2):
        assert (entry.by, entry.subject, entry.detail) == (NOBODY, NOBODY, HERE)
    with database.read() as session:
        for table in ("guess", "audit"):
            rows = session.execute(text(f"SELECT * FROM accounts_{table}")).all()  # noqa: S608
            assert "secret" not in repr(rows)


def test_a_password_that_is_replaced_while_it_is_compared_opens_nothing(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = passwords.is_password

    def compare_slowly(kept: str | None, password: str) -> bool:
        right = compare(kept, password)
        accounts.set_password("admin", OTHER, by="x", now=NOW)
        return right

    monkeypatch.setattr(service, "is_password", compare_slowly)
    with pytest.raises(UnauthenticatedError, match=r"^name or password is wrong$"):
        accounts.sign_in("admin", PASSWORD, address=HERE, now=NOW)


def test_the_oldest_sessions_of_a_user_end(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_in, "MAX_SESSIONS", 3)
    opened = [
        accounts.sign_in("admin", PASSWORD, address=HERE, now=NOW + timedelta(seconds=number))
        for number in range(5)
    ]
    later = NOW + timedelta(seconds=9)
    assert [accounts.by_session(one, later) is not None for one in opened] == [False] * 2 + [
        True
    ] * 3


def test_tokens_of_a_user_are_bounded(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_TOKENS", 2)
    first = accounts.issue_token("admin", "x", Role.VIEWER, by="x", now=NOW)
    accounts.issue_token("admin", "x", Role.VIEWER, by="x", now=NOW)
    with pytest.raises(ConflictError, match="2 tokens"):
        accounts.issue_token("admin", "x", Role.VIEWER, by="x", now=NOW)
    accounts.revoke_token(first.token.id, by="x", now=NOW)
    accounts.issue_token("admin", "x", Role.VIEWER, by="x", now=NOW)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[2J", "x" * 101])
def test_a_token_has_a_name_that_can_be_shown(accounts: Accounts, name: str) -> None:
    with pytest.raises(ConfigurationError):
        accounts.issue_token("admin", name, Role.VIEWER, by="x", now=NOW)


def test_a_user_is_changed_wholly_or_not_at_all(accounts: Accounts) -> None:
    with pytest.raises(ForbiddenError, match="only admin"):
        accounts.change_user("admin", password=OTHER, role=Role.VIEWER, by="x", now=NOW)
    assert accounts.sign_in("admin", PASSWORD, address=HERE, now=NOW)
    accounts.create_user("kim", PASSWORD, Role.VIEWER, by="x", now=NOW)
    with pytest.raises(ConfigurationError):
        accounts.change_user("kim", password="short", role=Role.ADMIN, by="x", now=NOW)
    assert accounts.user("kim").role is Role.VIEWER


def test_a_disabled_admin_is_not_counted_as_one(accounts: Accounts) -> None:
    accounts.create_user("kim", PASSWORD, Role.ADMIN, by="x", now=NOW)
    accounts.disable_user("kim", by="x", now=NOW)
    accounts.set_role("kim", Role.VIEWER, by="x", now=NOW)
    with pytest.raises(ForbiddenError, match="only admin"):
        accounts.disable_user("admin", by="x", now=NOW)


def test_only_a_browser_over_tls_is_told_to_keep_its_cookie_for_tls() -> None:
    for scheme in ("http", "https"):
        scope: dict[str, Any] = {"type": "http", "scheme": scheme, "path": "/", "headers": []}
        scope["server"] = ("x", 1)
        response = Response()
        set_session(response, Request(scope), "token")
        flags = response.headers["set-cookie"].lower()
        assert ("secure" in flags) == (scheme == "https")
        assert "httponly" in flags
        assert "samesite=strict" in flags


@given(st.sampled_from(Role), st.sampled_from(Role))
def test_roles_compare_by_what_they_allow(one: Role, other: Role) -> None:
    assert (one >= other) == one.allows(other) == (not one < other)
    assert (one <= other) == other.allows(one) == (not one > other)


@given(st.text())
def test_one_line_is_one_line_of_the_same_length(found: str) -> None:
    assert one_line(found).isprintable()
    assert len(one_line(found)) == len(found)


def test_rows_of_one_moment_keep_their_order_and_do_nothing_to_a_terminal(
    accounts: Accounts, database: Database
) -> None:
    with database.write() as session:
        for number in range(20):
            note(session, by="a\x1b[2J", action=f"x.{number:02}", subject="b\nc", now=NOW)
    found = accounts.audit(limit=20)
    assert [entry.action for entry in found] == [f"x.{number:02}" for number in reversed(range(20))]
    assert {(entry.by, entry.subject) for entry in found} == {("a [2J", "b c")}
