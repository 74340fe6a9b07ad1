# SPDX-License-Identifier: Apache-2.0
"""Alarms and windows over HTTP, by the role that it takes."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from insight_cloud.accounts.rules import Role
from insight_cloud.accounts.service import Accounts
from insight_cloud.app.problems import answer_problems
from insight_cloud.monitoring.api import router
from insight_cloud.platform.database import open_database
from tests.fakes.migrated import migrated_database
from tests.fakes.monitored import MODEL, SHIFT, Monitored, monitored
from tests.fakes.operators import Answer, call

Template = tuple[Path, str, dict[Role, str]]

PASSWORD = "one of many plain words"
DEFAULT = {"budget": 0.01, "window_rows": 100, "votes": 2, "windows": 3, "steady": 3}


@dataclass
class Door:
    """The routes over a world with an open alarm, and a token for each role."""

    world: Monitored
    app: FastAPI
    bundle: str
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


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Return a folder with an open alarm, made once because a password takes a second."""
    folder = tmp_path_factory.mktemp("monitoring") / "template"
    database = migrated_database(folder / "cloud.sqlite")
    world = monitored(database, folder)
    bundle = world.publish()
    world.watch(bundle, 0.0, SHIFT, SHIFT)
    accounts = Accounts(database)
    accounts.create_user("kim", PASSWORD, Role.ADMIN, by="test", now=world.now)
    tokens = {
        role: accounts.issue_token("kim", role.value, role, by="test", now=world.now).secret
        for role in Role
    }
    database.close()
    return folder, bundle, tokens


@pytest.fixture
def door(template: Template, tmp_path: Path) -> Iterator[Door]:
    folder, bundle, tokens = template
    copy = shutil.copytree(folder, tmp_path / "copy")
    database = open_database(copy / "cloud.sqlite")
    world = monitored(database, copy)
    app = FastAPI()
    app.state.accounts = Accounts(database)
    answer_problems(app)
    app.include_router(router(world.monitoring, lambda: world.now))
    yield Door(world=world, app=app, bundle=bundle, tokens=tokens)
    database.close()


def test_alarms_are_listed_and_closed_with_a_reason(door: Door) -> None:
    [alarm] = door.ask("GET", "/v1/alarms?open=true", role=Role.VIEWER).json
    assert (alarm["id"], alarm["bundle"], alarm["segment"]) == (1, door.bundle, 3)
    closed = door.ask("POST", "/v1/alarms/1/acknowledge", {"reason": "lens cap"})
    assert closed.status == 200
    assert (closed.json["closed_by"], closed.json["reason"]) == ("kim", "lens cap")
    assert door.ask("GET", "/v1/alarms?open=true").json == []
    assert door.ask("GET", "/v1/alarms?open=false").json == [closed.json]
    assert door.ask("GET", "/v1/alarms").json == [door.ask("GET", "/v1/alarms/1").json]
    assert door.ask("POST", "/v1/alarms/1/acknowledge", {"reason": "again"}).status == 409
    assert door.ask("GET", "/v1/alarms/2").status == 404


def test_windows_and_the_heatmap_of_a_bundle(door: Door) -> None:
    [last] = door.ask("GET", f"/v1/bundles/{door.bundle}/assessments?limit=1").json
    assert (last["number"], last["verdict"], last["devices"]) == (3, "drifted", {"camera-1": 100})
    assert {"name", "noun", "score", "mean", "missing"} <= last["features"][0].keys()
    older = door.ask("GET", f"/v1/bundles/{door.bundle}/assessments?before=3").json
    assert [one["number"] for one in older] == [2, 1]
    heat = door.ask("GET", f"/v1/bundles/{door.bundle}/heatmap").json
    assert [one["verdict"] for one in heat["windows"]] == ["steady", "drifted", "drifted"]
    assert [len(row) for row in heat["scores"]] == [3] * len(heat["features"])


def test_the_policy_of_a_model_is_shown_and_changed(door: Door) -> None:
    path = f"/v1/models/{MODEL}/monitoring"
    assert door.ask("GET", path, role=Role.VIEWER).json == DEFAULT
    assert door.ask("PUT", path, {"budget": 0.05, "steady": 5}).json == {
        **DEFAULT,
        "budget": 0.05,
        "steady": 5,
    }
    assert door.ask("PUT", "/v1/models/none/monitoring", {}).status == 404


@pytest.mark.parametrize(
    "body",
    [{"budget": 0.9}, {"budget": "x"}, {"votes": 3, "windows": 2}, {"vote": 1}, {"steady": 0}],
)
def test_a_policy_that_cannot_be_meant_is_refused(door: Door, body: dict[str, Any]) -> None:
    assert door.ask("PUT", f"/v1/models/{MODEL}/monitoring", body).status == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/alarms?limit=501", None),
        ("GET", "/v1/alarms/0", None),
        ("GET", "/v1/bundles/x/heatmap", None),
        ("POST", "/v1/alarms/1/acknowledge", {"reason": ""}),
        ("POST", "/v1/alarms/1/acknowledge", {"reason": "x" * 501}),
        ("POST", "/v1/alarms/1/acknowledge", {}),
    ],
)
def test_what_is_out_of_bounds_is_refused(door: Door, method: str, path: str, body: Any) -> None:
    assert door.ask(method, path, body).status == 422


@pytest.mark.parametrize(
    ("method", "path", "body", "least"),
    [
        ("GET", "/v1/alarms", None, Role.VIEWER),
        ("GET", "/v1/alarms/1", None, Role.VIEWER),
        ("POST", "/v1/alarms/1/acknowledge", {"reason": "r"}, Role.OPERATOR),
        ("GET", "/v1/bundles/{bundle}/assessments", None, Role.VIEWER),
        ("GET", "/v1/bundles/{bundle}/heatmap", None, Role.VIEWER),
        ("GET", f"/v1/models/{MODEL}/monitoring", None, Role.VIEWER),
        ("PUT", f"/v1/models/{MODEL}/monitoring", {}, Role.OPERATOR),
    ],
)
def test_a_route_takes_its_role(door: Door, method: str, path: str, body: Any, least: Role) -> None:
    path = path.format(bundle=door.bundle)
    assert door.ask(method, path, body, role=None).status == 401
    if least is Role.OPERATOR:
        assert door.ask(method, path, body, role=Role.VIEWER).status == 403
    assert door.ask(method, path, body, role=least).status == 200
