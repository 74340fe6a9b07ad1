# SPDX-License-Identifier: Apache-2.0
"""Rollouts as operators ask for them over HTTP, and by verbs."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from insight_cloud.accounts.rules import Role
from insight_cloud.accounts.service import Accounts
from insight_cloud.app.problems import answer_problems
from insight_cloud.rollouts.api import router
from tests.fakes.operators import Answer, call
from tests.fakes.rollout_world import DEPLOYMENT, World, make_world, open_world

PASSWORD = "one of many plain words"
PLAN = {"soak_s": 1.0, "deadline_s": 60.0, "least_calls": 0}


@dataclass
class Door:
    """The routes over a world, and a token for each role."""

    world: World
    app: FastAPI
    tokens: dict[Role, str]

    def ask(
        self, method: str, path: str, body: Any = None, role: Role | None = Role.OPERATOR
    ) -> Answer:
        path, _, query = path.partition("?")
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "content-length": str(len(data))}
        if role is not None:
            headers["authorization"] = f"Bearer {self.tokens[role]}"
        return asyncio.run(call(self.app, method, path, query, headers, data))

    def start(self, **changes: Any) -> Answer:
        body = {"model": "digits", "version": 2, "deployment": DEPLOYMENT, "plan": PLAN, **changes}
        return self.ask("POST", "/v1/rollouts", body)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rollout") / "template"
    make_world(folder)
    with open_world(folder, folder) as world:
        world.add("cam-1", "cam-2")
        accounts = Accounts(world.database)
        accounts.create_user("kim", PASSWORD, Role.ADMIN, by="test", now=world.now)
    return folder


@pytest.fixture
def door(template: Path, tmp_path: Path) -> Iterator[Door]:
    with open_world(template, tmp_path / "world") as world:
        accounts = Accounts(world.database)
        app = FastAPI()
        app.state.accounts = accounts
        answer_problems(app)
        app.include_router(router(world.rollouts, lambda: world.now))
        tokens = {
            role: accounts.issue_token("kim", role.value, role, by="test", now=world.now).secret
            for role in Role
        }
        yield Door(world, app, tokens)


def test_a_rollout_is_started_watched_and_steered(door: Door) -> None:
    started = door.start()
    assert started.status == 201
    assert (started.json["id"], started.json["state"], started.json["by"]) == (1, "pending", "kim")
    assert started.json["plan"]["soak_s"] == 1.0
    assert started.json["plan"]["canary"] == "1"
    door.world.run()
    shown = door.ask("GET", "/v1/rollouts/1", role=Role.VIEWER).json
    assert [one["state"] for one in shown["members"]] == ["asked", "waiting"]
    assert [one["decision"] for one in shown["decisions"]] == ["begin", "start"]
    before = shown["members"][0]["before"]
    assert before == {"bundle": door.world.bundle(1), "role": "serve", "share": 1.0}
    events = door.ask("GET", "/v1/rollouts/1/events?after=1", role=Role.VIEWER).json
    assert [(one["number"], one["kind"]) for one in events] == [(2, "begin"), (3, "asked")]
    for action, state in (
        ("pause", "paused"),
        ("resume", "running"),
        ("roll-back", "rolling_back"),
        ("abort", "aborted"),
    ):
        answer = door.ask("POST", f"/v1/rollouts/1/{action}", {"reason": "a test"})
        assert (answer.status, answer.json["state"]) == (200, state)
    assert [one["state"] for one in door.ask("GET", "/v1/rollouts?active=false").json] == [
        "aborted"
    ]


def test_why_not_is_one_sentence_or_null(door: Door) -> None:
    path = f"/v1/devices/cam-1/deployments/{DEPLOYMENT}/why-not"
    assert door.ask("GET", path, role=Role.VIEWER).json == {
        "device": "cam-1",
        "deployment": DEPLOYMENT,
        "why": None,
    }
    door.start()
    said = door.ask("GET", path, role=Role.VIEWER).json["why"]
    assert said == "Rollout 1 of digits:2 has not begun."


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"version": 9}, 404),
        ({"version": "no-alias"}, 404),
        ({"devices": ["cam-9"]}, 404),
        ({"deployment": "No Name"}, 422),
        ({"plan": {"waves": ["50%"]}}, 422),
        ({"plan": {"canary": "some"}}, 422),
        ({"plan": {"waves": ["1%"] * 60}}, 422),
        ({"plan": {"soak": 1}}, 422),
        ({"devices": []}, 422),
        ({"devices": ["cam-1"] * 10_001}, 422),
        ({"model": "m" * 64}, 422),
        ({"version": 2**40}, 422),
        ({"other": 1}, 422),
    ],
)
def test_what_cannot_be_meant_is_refused(door: Door, changes: dict[str, Any], status: int) -> None:
    assert door.start(**changes).status == status
    assert door.ask("GET", "/v1/rollouts").json == []


def test_a_second_rollout_of_its_kind_is_a_conflict(door: Door) -> None:
    assert door.start().status == 201
    again = door.start(version=3)
    assert (again.status, again.json["kind"]) == (409, "ConflictError")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/rollouts/7"),
        ("GET", "/v1/rollouts/7/events"),
        ("POST", "/v1/rollouts/7/pause"),
        ("GET", f"/v1/devices/nobody/deployments/{DEPLOYMENT}/why-not"),
    ],
)
def test_what_is_not_there_is_404(door: Door, method: str, path: str) -> None:
    assert door.ask(method, path, {} if method == "POST" else None).status == 404


@pytest.mark.parametrize(
    "path",
    ["/v1/rollouts/99999999999999999999", "/v1/rollouts/0", "/v1/rollouts/1/events?after=-1"],
)
def test_a_number_that_no_rollout_has_is_422(door: Door, path: str) -> None:
    assert door.ask("GET", path).status == 422


@pytest.mark.parametrize("path", ["", "/1/pause", "/1/resume", "/1/abort", "/1/roll-back"])
def test_a_viewer_may_look_and_nobody_else_may_even_look(door: Door, path: str) -> None:
    door.start()
    body = {"model": "digits", "version": 2, "deployment": DEPLOYMENT} if not path else {}
    assert door.ask("POST", f"/v1/rollouts{path}", body, Role.VIEWER).status == 403
    assert door.ask("POST", f"/v1/rollouts{path}", body, None).status == 401
    assert door.ask("GET", "/v1/rollouts/1", role=None).status == 401
    assert door.world.rollouts.get(1).state == "pending"


def test_every_route_is_in_the_openapi_document(door: Door) -> None:
    paths = door.ask("GET", "/openapi.json").json["paths"]
    assert {path for path in paths if "rollouts" in path} == {
        "/v1/rollouts",
        "/v1/rollouts/{rollout}",
        "/v1/rollouts/{rollout}/events",
        *(f"/v1/rollouts/{{rollout}}/{one}" for one in ("pause", "resume", "abort", "roll-back")),
    }
    assert all(route.get("summary") for path in paths.values() for route in path.values())
