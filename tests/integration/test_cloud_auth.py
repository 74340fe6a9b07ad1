# SPDX-License-Identifier: Apache-2.0
"""Who gets in over HTTP and who does not, at the real process over a real socket."""

import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from insight_cloud.accounts.rules import Role
from insight_cloud.platform.clock import now
from insight_cloud.platform.setup import BrokerPlace
from tests.fakes.cloud import Cloud, open_cloud, served

PASSWORD = "plain words are fine"


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True)
class Door:
    cloud: Cloud
    address: str

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        told: Mapping[str, str] | None = None,
    ) -> Answer:
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310
            f"{self.address}{path}", data=data, method=method,
            headers={"Content-Type": "application/json", **(told or {})},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return _answer(answer.status, answer.read(), answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.read(), error.headers)

    def change(self, *, told: Mapping[str, str]) -> Answer:
        """Ask for something that changes something."""
        return self.ask("POST", "/v1/tokens", {"name": "x"}, told=told)

    def signed_in(self) -> str:
        """Sign in, and return the cookie."""
        found = self.ask("POST", "/v1/session", {"name": "admin", "password": PASSWORD})
        assert found.status == 200
        return found.headers["set-cookie"].split(";")[0]

    def token(self, role: Role) -> str:
        made = self.cloud.accounts.issue_token("admin", "test", role, by="test", now=now())
        return f"Bearer {made.secret}"


def _answer(status: int, body: bytes, headers: Any) -> Answer:
    told = {name.lower(): value for name, value in headers.items()}
    plain = json.loads(body) if body and "json" in told.get("content-type", "") else body
    return Answer(status, plain, told)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("auth")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    broker = BrokerPlace(host="127.0.0.1", port=1, program="iotcore", state=str(folder / "broker"))
    with open_cloud(folder / "cloud") as cloud:
        cloud.accounts.first_user(PASSWORD, now())
        with served(cloud, port, broker) as address:
            yield Door(cloud, address)


def test_session_is_a_cookie_that_no_script_and_no_other_site_gets(door: Door) -> None:
    found = door.ask("POST", "/v1/session", {"name": "admin", "password": PASSWORD})
    assert found.body == {"name": "admin", "role": "admin", "tenant": "default"}
    flags = {part.strip().lower() for part in found.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    assert "secure" not in flags  # plain HTTP, on loopback


def test_wrong_password_is_401_and_says_little(door: Door) -> None:
    found = door.ask("POST", "/v1/session", {"name": "admin", "password": "not this one, no"})
    assert (found.status, found.body["detail"]) == (401, "name or password is wrong")
    assert "set-cookie" not in found.headers


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Bearer " + "x" * 5000},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Cookie": "insight_session=nonsense"},
        {"Cookie": "insight_session=" + "x" * 5000},
    ],
)
def test_nobody_is_401(door: Door, told: dict[str, str]) -> None:
    found = door.ask("GET", "/v1/me", told=told)
    assert (found.status, found.headers["www-authenticate"]) == (401, "Bearer")
    assert found.body["hint"]


def test_token_opens_what_its_role_allows(door: Door) -> None:
    viewer = door.token(Role.VIEWER)
    assert door.ask("GET", "/v1/me", told={"Authorization": viewer}).body["role"] == "viewer"
    for method, path in (("GET", "/v1/audit"), ("GET", "/v1/users")):
        found = door.ask(method, path, told={"Authorization": viewer})
        assert (found.status, found.body["kind"]) == (403, "ForbiddenError")
    assert (
        door.ask("GET", "/v1/users", told={"Authorization": door.token(Role.ADMIN)}).status == 200
    )


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Referer": "https://evil.example/127.0.0.1"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_change_with_a_cookie_must_come_from_this_site(
    door: Door, told: dict[str, str], status: int
) -> None:
    assert door.change(told={"Cookie": door.signed_in(), **told}).status == status


def test_own_origin_is_enough_where_a_browser_says_no_more(door: Door) -> None:
    assert door.change(told={"Cookie": door.signed_in(), "Origin": door.address}).status == 201
    assert door.change(told={"Authorization": door.token(Role.VIEWER)}).status == 201


def test_signing_out_ends_the_session(door: Door) -> None:
    cookie = door.signed_in()
    told = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
    assert door.ask("DELETE", "/v1/session", told=told).status == 204
    assert door.ask("GET", "/v1/me", told={"Cookie": cookie}).status == 401


def test_users_are_looked_after_and_it_is_on_the_trail(door: Door) -> None:
    admin = {"Authorization": door.token(Role.ADMIN)}
    kim = {"name": "kim", "password": PASSWORD, "role": "viewer"}
    assert door.ask("POST", "/v1/users", kim, told=admin).status == 201
    assert door.ask("POST", "/v1/users", kim, told=admin).status == 409
    changed = door.ask("PATCH", "/v1/users/kim", {"role": "operator", "disabled": True}, told=admin)
    assert (changed.body["role"], changed.body["disabled"] is None) == ("operator", False)
    assert door.ask("PATCH", "/v1/users/no-one", {"disabled": True}, told=admin).status == 404
    assert door.ask("PATCH", "/v1/users/admin", {"disabled": True}, told=admin).status == 403
    trail = door.ask("GET", "/v1/audit?subject=kim", told=admin).body
    assert [row["action"] for row in trail] == ["user.disable", "user.role", "user.create"]
    assert {row["by"] for row in trail} == {"admin"}


def test_token_is_shown_once_and_revoked_by_its_owner_or_an_admin(door: Door) -> None:
    told = {"Authorization": door.token(Role.VIEWER)}
    made = door.change(told=told).body
    assert made["secret"] not in json.dumps(door.ask("GET", "/v1/tokens", told=told).body)
    gone = door.ask("DELETE", f"/v1/tokens/{made['token']['id']}", told=told)
    assert gone.body["revoked"] is not None
    again = {"Authorization": f"Bearer {made['secret']}"}
    assert door.ask("GET", "/v1/me", told=again).status == 401
    assert door.ask("GET", "/v1/tokens?everyone=true", told=told).status == 403
    more = door.ask("POST", "/v1/tokens", {"name": "x", "role": "admin"}, told=told)
    assert more.status == 403


@pytest.mark.parametrize(
    ("method", "path", "raw"),
    [
        ("POST", "/v1/session", b"{"),
        ("POST", "/v1/session", b'{"name": 1, "password": []}'),
        ("POST", "/v1/session", json.dumps({"name": "a" * 65, "password": "x"}).encode()),
        ("POST", "/v1/session", json.dumps({"name": "a", "password": "x" * 2000}).encode()),
        ("POST", "/v1/users", b'{"name": "lee", "password": "short", "role": "viewer"}'),
        (
            "POST",
            "/v1/users",
            b'{"name": "Lee!", "password": "long enough it is", "role": "viewer"}',
        ),
        ("POST", "/v1/users", b'{"name": "lee", "password": "long enough it is", "role": "god"}'),
        ("POST", "/v1/tokens", b'{"name": ""}'),
        ("POST", "/v1/tokens", b'{"name": "x", "expires": "2020-01-01T00:00:00Z"}'),
        ("POST", "/v1/tokens", b'{"name": "x", "expires": "2099-01-01T00:00:00"}'),
        ("GET", "/v1/audit?limit=0", None),
        ("GET", "/v1/audit?limit=100000", None),
    ],
)
def test_bad_input_is_one_line(door: Door, method: str, path: str, raw: bytes | None) -> None:
    found = door.ask(method, path, raw=raw, told={"Authorization": door.token(Role.ADMIN)})
    assert found.status == 422
    assert "Traceback" not in json.dumps(found.body)


def test_every_answer_says_what_a_browser_may_do(door: Door) -> None:
    for path in ("/v1/me", "/openapi.json", "/nowhere"):
        headers = door.ask("GET", path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_openapi_says_how_to_get_in(door: Door) -> None:
    schema = door.ask("GET", "/openapi.json").body
    schemes = schema["components"]["securitySchemes"]
    assert {one["type"] for one in schemes.values()} == {"http", "apiKey"}
    assert schema["paths"]["/v1/users"]["get"]["security"]
    assert {"401", "403"} <= set(schema["paths"]["/v1/users"]["get"]["responses"])


def test_page_of_the_api_needs_nothing_from_elsewhere(door: Door) -> None:
    page = door.ask("GET", "/docs").body.decode()
    assert "http" not in page.replace("https://", "").replace("http-equiv", "")
    for name in re.findall(r'(?:src|href)="(/[^"]+)"', page):
        assert door.ask("GET", name).status == 200


def test_page_of_another_site_gets_nowhere_with_a_name_of_its_own_for_this_door(door: Door) -> None:
    port = door.address.rsplit(":", 1)[1]
    assert door.ask("GET", "/v1/me", told={"Host": f"evil.example:{port}"}).status == 400
    assert door.ask("GET", "/v1/me", told={"Host": f"localhost:{port}"}).status == 401


def test_nobody_says_themselves_where_they_come_from(door: Door) -> None:
    wrong = {"name": "forwarded", "password": "not this one, no"}
    door.ask("POST", "/v1/session", wrong, told={"X-Forwarded-For": "203.0.113.7"})
    newest = door.cloud.accounts.audit(limit=1)[0]
    assert "203.0.113.7" not in newest.detail
    assert "127.0.0.1" in newest.detail
