# SPDX-License-Identifier: Apache-2.0
"""Users, sessions, tokens and the trail, on a real database."""

from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from insight_cloud.accounts import passwords
from insight_cloud.accounts.audit import MAX_DETAIL, Trail, note
from insight_cloud.accounts.rules import (
    FREE_GUESSES,
    IDLE,
    LONGEST,
    LONGEST_WAIT,
    Role,
    lower_of,
    safe_next,
    wait_after,
)
from insight_cloud.accounts.service import NOBODY, Accounts
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
)
from insight_edge.errors import ConfigurationError

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
PASSWORD = "plain words are fine"
HERE = "127.0.0.1"


@pytest.fixture
def accounts(database: Database, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", cheap)
    made = Accounts(database)
    made.first_user(PASSWORD, NOW)
    return made


def sign_in(accounts: Accounts, now: datetime = NOW, password: str = PASSWORD) -> str:
    return accounts.sign_in("admin", password, address=HERE, now=now)


def test_first_user_is_made_once(accounts: Accounts) -> None:
    assert not accounts.first_user("another password", NOW)
    assert [(user.name, user.role) for user in accounts.users()] == [("admin", Role.ADMIN)]
    actor = accounts.by_session(sign_in(accounts), NOW)
    assert actor is not None
    assert (actor.name, actor.role, actor.tenant) == ("admin", Role.ADMIN, "default")


def test_no_secret_is_in_the_database(accounts: Accounts, database: Database) -> None:
    session = sign_in(accounts)
    token = accounts.issue_token("admin", "export", Role.VIEWER, by="admin", now=NOW).secret
    with database.read() as opened:
        for table in ("user", "session", "token", "guess", "audit"):
            rows = opened.execute(text(f"SELECT * FROM accounts_{table}")).all()  # noqa: S608
            for secret in (session, token, PASSWORD):
                assert secret not in repr(rows)


@pytest.mark.parametrize("name", ["admin", "nobody"])
def test_wrong_name_and_wrong_password_are_answered_alike(accounts: Accounts, name: str) -> None:
    with pytest.raises(UnauthenticatedError, match=r"^name or password is wrong$"):
        accounts.sign_in(name, "not the password", address=HERE, now=NOW + IDLE)
    newest = accounts.audit(limit=1)[0]
    known = "admin" if name == "admin" else NOBODY  # it may be a password in the wrong field
    assert (newest.by, newest.action) == (NOBODY, "session.refuse")
    assert (newest.subject, newest.detail) == (known, HERE)


def test_guessing_becomes_slow_for_that_name_and_address_alone(accounts: Accounts) -> None:
    for _ in range(FREE_GUESSES):
        with pytest.raises(UnauthenticatedError, match="is wrong"):
            sign_in(accounts, password="wrong wrong wrong")
    with pytest.raises(UnauthenticatedError, match="too many") as caught:
        sign_in(accounts)
    assert caught.value.hint == "wait 1 s and try again"
    assert accounts.sign_in("admin", PASSWORD, address="10.0.0.9", now=NOW)
    later = NOW + timedelta(seconds=2)
    assert sign_in(accounts, later)
    with pytest.raises(UnauthenticatedError, match="is wrong"):  # counted from the start again
        sign_in(accounts, later, password="wrong wrong wrong")
    assert sign_in(accounts, later)


@given(st.integers(0, 10_000))
def test_waiting_grows_and_ends(failures: int) -> None:
    assert wait_after(failures) <= wait_after(failures + 1) <= LONGEST_WAIT


def test_session_ends_unused_and_in_any_case(accounts: Accounts) -> None:
    token, at = sign_in(accounts), NOW
    assert accounts.by_session(token, NOW + IDLE + timedelta(seconds=1)) is None
    while at < NOW + LONGEST - IDLE:
        at += IDLE / 2
        assert accounts.by_session(token, at) is not None
    assert accounts.by_session(token, NOW + LONGEST + timedelta(seconds=1)) is None


def test_sign_out_and_a_new_password_end_sessions(accounts: Accounts) -> None:
    first, second = sign_in(accounts), sign_in(accounts)
    accounts.sign_out(first, now=NOW)
    assert accounts.by_session(first, NOW) is None
    assert accounts.by_session(second, NOW) is not None
    accounts.set_password("admin", "some other words", by="admin", now=NOW)
    assert accounts.by_session(second, NOW) is None
    with pytest.raises(UnauthenticatedError):
        sign_in(accounts)


def test_token_never_does_more_than_its_owner(accounts: Accounts) -> None:
    accounts.create_user("kim", PASSWORD, Role.OPERATOR, by="admin", now=NOW)
    with pytest.raises(ForbiddenError, match="kim is operator"):
        accounts.issue_token("kim", "x", Role.ADMIN, by="kim", now=NOW)
    secret = accounts.issue_token("kim", "x", Role.OPERATOR, by="kim", now=NOW).secret
    accounts.set_role("kim", Role.VIEWER, by="admin", now=NOW)
    actor = accounts.by_token(secret, NOW)
    assert actor is not None
    assert actor.role is Role.VIEWER
    accounts.disable_user("kim", by="admin", now=NOW)
    assert accounts.by_token(secret, NOW) is None
    accounts.enable_user("kim", by="admin", now=NOW)
    assert accounts.by_token(secret, NOW) is not None


def test_token_expires_is_revoked_and_says_when_it_was_used(accounts: Accounts) -> None:
    ends = NOW + timedelta(days=1)
    made = accounts.issue_token("admin", "x", Role.VIEWER, by="admin", now=NOW, expires=ends)
    assert accounts.tokens("admin")[0].used is None
    assert accounts.by_token(made.secret, NOW) is not None
    assert accounts.tokens("admin")[0].used == NOW
    assert accounts.by_token(made.secret, ends) is None
    accounts.revoke_token(made.token.id, by="admin", now=NOW)
    assert accounts.by_token(made.secret, NOW) is None
    with pytest.raises(NotFoundError):
        accounts.revoke_token("none", by="admin", now=NOW)
    with pytest.raises(ConfigurationError):
        accounts.issue_token("admin", "x", Role.VIEWER, by="admin", now=NOW, expires=NOW)


def test_session_is_no_token_and_the_other_way_round(accounts: Accounts) -> None:
    token = accounts.issue_token("admin", "x", Role.VIEWER, by="admin", now=NOW).secret
    assert accounts.by_session(token, NOW) is None
    assert accounts.by_token(sign_in(accounts), NOW) is None


def test_the_last_admin_stays(accounts: Accounts) -> None:
    with pytest.raises(ForbiddenError, match="only admin"):
        accounts.disable_user("admin", by="admin", now=NOW)
    with pytest.raises(ForbiddenError, match="only admin"):
        accounts.set_role("admin", Role.VIEWER, by="admin", now=NOW)
    accounts.create_user("kim", PASSWORD, Role.ADMIN, by="admin", now=NOW)
    accounts.disable_user("admin", by="kim", now=NOW)
    with pytest.raises(ForbiddenError, match="only admin"):
        accounts.set_role("kim", Role.OPERATOR, by="kim", now=NOW)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("Kim", PASSWORD),
        ("", PASSWORD),
        ("a" * 65, PASSWORD),
        ("-kim", PASSWORD),
        ("kim", "short"),
        ("kim", "x" * 1025),
        ("kim", "aaaaaaaaaaaaaaaa"),
        ("kim-kim-kim-kim", "KIM-kim-kim-kim"),
    ],
)
def test_bad_names_and_passwords_are_refused(accounts: Accounts, name: str, password: str) -> None:
    with pytest.raises(ConfigurationError):
        accounts.create_user(name, password, Role.VIEWER, by="admin", now=NOW)
    assert len(accounts.users()) == 1


def test_a_name_is_given_once(accounts: Accounts) -> None:
    with pytest.raises(ConflictError):
        accounts.create_user("admin", PASSWORD, Role.VIEWER, by="admin", now=NOW)


def test_trail_is_in_the_transaction_of_the_change(accounts: Accounts, database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            note(session, by="x", action="nothing.happened", subject="y", now=NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert "nothing.happened" not in {entry.action for entry in accounts.audit()}


def test_trail_is_cut_filtered_and_paged(accounts: Accounts, database: Database) -> None:
    with database.write() as session:
        for number in range(5):
            at = NOW + timedelta(seconds=number)
            note(
                session,
                by="kim",
                action=f"rollout.{number}",
                subject="r_1",
                now=at,
                detail="é" * 2000,
            )
    newest = accounts.audit(Trail(by="kim", action="rollout"), limit=2)
    assert [entry.action for entry in newest] == ["rollout.4", "rollout.3"]
    assert len(newest[0].detail) == MAX_DETAIL
    older = accounts.audit(Trail(subject="r_1"), after=newest[-1].id, limit=2)
    assert [entry.action for entry in older] == ["rollout.2", "rollout.1"]
    assert accounts.audit(Trail(action="r_llout")) == ()  # a pattern is no pattern
    assert accounts.audit(tenant="other") == ()


@given(st.sampled_from(Role), st.sampled_from(Role))
def test_roles_are_a_ladder(one: Role, other: Role) -> None:
    assert one.allows(other) or other.allows(one)
    assert one.allows(lower_of(one, other))


@given(st.text())
def test_next_page_is_of_this_site(path: str) -> None:
    found = safe_next(path)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert found.isascii()
    assert found.isprintable()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/devices?text=a", "/devices?text=a"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\nb", "/"),
        (None, "/"),
        ("/" + "a" * 600, "/"),
    ],
)
def test_next_page_examples(path: str | None, found: str) -> None:
    assert safe_next(path) == found
