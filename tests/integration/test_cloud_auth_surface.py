# SPDX-License-Identifier: Apache-2.0
"""What is tried at the door by those who should not get in, or not so far."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from insight_cloud.accounts.rules import FREE_GUESSES, Role
from insight_cloud.app.bounds import MAX_BYTES
from insight_cloud.app.headers import SAFE, Headers
from insight_cloud.app.problems import answer_problems
from insight_cloud.platform.clock import now
from tests.fakes.operators import PASSWORD, Operators, open_operators


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    with open_operators(tmp_path_factory.mktemp("surface")) as world:
        yield world


def issue(world: Operators, role: Role = Role.VIEWER, **more: Any) -> tuple[str, str]:
    """Return id and secret of a new token."""
    made = world.cloud.accounts.issue_token("kim", "x", role, by="test", now=now(), **more)
    return made.token.id, made.secret


def test_a_device_is_no_operator_and_an_operator_no_device(world: Operators) -> None:
    root = "/v1/tuf/metadata/timestamp.json"
    assert world.ask("GET", root, token=world.secret).status == 200
    assert world.ask("GET", "/v1/me", token=world.secret).status == 401
    assert world.ask("GET", "/v1/me", role=Role.ADMIN).status == 200
    assert world.ask("GET", root, role=Role.ADMIN).status == 403


def test_what_ended_opens_nothing(world: Operators) -> None:
    accounts = world.cloud.accounts
    ending = now() + timedelta(days=1)
    token, secret = issue(world, expires=ending)
    assert world.ask("GET", "/v1/me", token=secret).status == 200
    assert accounts.by_token(secret, ending) is None
    assert world.ask("DELETE", f"/v1/tokens/{token}").status == 200
    assert world.ask("GET", "/v1/me", token=secret).status == 401
    _, secret = issue(world)
    accounts.create_user("max", PASSWORD, Role.ADMIN, by="test", now=now())
    accounts.disable_user("kim", by="test", now=now())
    try:
        assert world.ask("GET", "/v1/me", token=secret).status == 401
    finally:
        accounts.enable_user("kim", by="test", now=now())


def test_a_token_makes_none_that_outlives_it(world: Operators) -> None:
    ending = now() + timedelta(hours=1)
    _, secret = issue(world, expires=ending)
    later = (ending + timedelta(seconds=1)).isoformat()
    assert world.ask("POST", "/v1/tokens", {"name": "y"}, token=secret).status == 403
    asked = {"name": "y", "expires": later}
    assert world.ask("POST", "/v1/tokens", asked, token=secret).status == 403
    asked = {"name": "y", "expires": ending.isoformat()}
    assert world.ask("POST", "/v1/tokens", asked, token=secret).status == 201


def test_a_token_revokes_none_that_may_do_more(world: Operators) -> None:
    _, secret = issue(world, Role.VIEWER)
    higher, _ = issue(world, Role.ADMIN)
    lower, _ = issue(world, Role.VIEWER)
    assert world.ask("DELETE", f"/v1/tokens/{higher}", token=secret).status == 403
    assert world.ask("DELETE", "/v1/tokens/none", token=secret).status == 403
    assert world.ask("DELETE", f"/v1/tokens/{lower}", token=secret).status == 200


def test_guessing_is_told_to_slow_down(world: Operators) -> None:
    asked = {"name": "somebody", "password": "wrong wrong wrong"}
    for _ in range(FREE_GUESSES):
        assert world.ask("POST", "/v1/session", asked, role=None).status == 401
    found = world.ask("POST", "/v1/session", asked, role=None)
    assert (found.status, found.json["kind"]) == (429, "SlowDownError")
    assert int(found.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("method", "path", "raw"),
    [
        ("POST", "/v1/session", b'{"nam": "a", "password": "S3CRET"}'),
        ("POST", "/v1/session", b'{"name": "a", "password": "' + b"S3CRET" * 300 + b'"}'),
        ("POST", "/v1/session", b'{"name": "a", "password": ["S3CRET"]}'),
        ("POST", "/v1/session", b'{"name": "\\ud800", "password": "S3CRET"}'),
        ("POST", "/v1/session", b"[" * 60_000),
        ("POST", "/v1/session", b"\xff\xfe"),
        ("POST", "/v1/users", b'{"name": "lee", "password": "S3CRET", "role": "viewer"}'),
        ("PATCH", "/v1/users/kim", b'{"password": "S3CRET", "role": "admin"}'),
        ("PATCH", "/v1/users/kim", b'{"disabled": "perhaps"}'),
        ("POST", "/v1/tokens", b'{"name": "\\ud800"}'),
        ("POST", "/v1/tokens", b'{"name": "a\\u001b[2J"}'),
        ("POST", "/v1/tokens", b'{"name": "x", "role": "god"}'),
    ],
)
def test_bad_input_is_one_line_that_repeats_no_secret(
    world: Operators, method: str, path: str, raw: bytes
) -> None:
    found = world.ask(method, path, raw=raw)
    assert (found.status, set(found.json)) == (422, {"kind", "detail", "hint"})
    assert "\n" not in found.json["detail"]
    assert b"S3CRET" not in found.body


@pytest.mark.parametrize("asked", [{"limit": "9" * 30}, {"limit": "x"}, {"by": "x" * 201}])
def test_the_trail_is_asked_for_within_bounds(world: Operators, asked: dict[str, str]) -> None:
    assert world.ask("GET", "/v1/audit", asked=asked).status == 422


def test_a_change_of_a_user_is_whole(world: Operators) -> None:
    world.cloud.accounts.create_user("lee", PASSWORD, Role.VIEWER, by="test", now=now())
    change = {"role": "admin", "password": "short"}
    assert world.ask("PATCH", "/v1/users/lee", change).status == 422
    assert world.cloud.accounts.user("lee").role is Role.VIEWER
    assert world.ask("PATCH", "/v1/users/no-one", {"role": "admin"}).status == 404


def test_a_long_body_is_not_read(world: Operators) -> None:
    for method, path in (("POST", "/v1/session"), ("PATCH", "/v1/users/kim")):
        for claimed_bytes in (None, 1):
            found = world.ask(
                method, path, raw=b" " * (MAX_BYTES + 1), role=None, claimed_bytes=claimed_bytes
            )
            assert (found.status, found.json["kind"]) == (413, "LimitExceededError")


def test_openapi_names_what_is_refused(world: Operators) -> None:
    schema = world.ask("GET", "/openapi.json").json
    answers = schema["paths"]["/v1/session"]["post"]["responses"]
    assert {"200", "401", "413", "422", "429"} <= set(answers)
    for path in ("/v1/me", "/v1/users", "/v1/tokens", "/v1/audit"):
        told = schema["paths"][path]["get"]
        assert {"401", "403", "422"} <= set(told["responses"])
        assert len(told["security"]) == 2
    assert "security" not in schema["paths"]["/v1/session"]["post"]
    assert PASSWORD not in json.dumps(schema)


async def sent_by(app: FastAPI) -> list[Any]:
    """Return what an app sends for a request that it fails at."""
    told: list[Any] = []
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/fails", "headers": []}
    scope |= {"server": ("x", 1), "scheme": "http", "http_version": "1.1", "query_string": b""}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(item: Any) -> None:
        told.append(item)

    with pytest.raises(RuntimeError):  # so that it is in the log
        await app(scope, receive, send)
    return told


def test_what_nobody_foresaw_is_one_line_and_as_safe() -> None:
    app = FastAPI()
    answer_problems(app)
    app.add_middleware(Headers)

    @app.get("/fails")
    def _fails() -> None:
        raise RuntimeError("S3CRET")

    start, body = asyncio.run(sent_by(app))
    assert start["status"] == 500
    assert b"S3CRET" not in body["body"]
    assert set(json.loads(body["body"])) == {"kind", "detail", "hint"}
    told = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    assert {name.lower(): value for name, value in SAFE.items()}.items() <= told.items()
