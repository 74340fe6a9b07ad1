# SPDX-License-Identifier: Apache-2.0
"""Jobs as operators ask for them over HTTP."""

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
from insight_cloud.jobs.api import AFTER, router
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.result import BenchResult
from tests.fakes.measuring_world import JobWorld, bench_result, job_result, open_jobs
from tests.fakes.operators import Answer, call
from tests.fakes.rollout_world import make_world, open_world

PASSWORD = "one of many plain words"
LOOK, DO = Role.VIEWER, Role.OPERATOR


@dataclass
class Door:
    """The routes over jobs, and a token for each role."""

    world: JobWorld
    app: FastAPI
    tokens: dict[Role, str]

    def ask(self, method: str, path: str, body: Any = None, role: Role | None = DO) -> Answer:
        path, _, query = path.partition("?")
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "content-length": str(len(data))}
        if role is not None:
            headers["authorization"] = f"Bearer {self.tokens[role]}"
        return asyncio.run(call(self.app, method, path, query, headers, data))

    def bench(self, **changes: Any) -> Answer:
        return self.ask("POST", "/v1/jobs/bench", {"bundle": self.world.bundle, **changes})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jobs") / "template"
    make_world(folder)
    with open_world(folder, folder) as world:
        world.add("cam-1", "cam-2")
        world.add("lab-1", profile="lab")
        accounts = Accounts(world.database)
        accounts.create_user("kim", PASSWORD, Role.ADMIN, by="test", now=world.now)
    return folder


@pytest.fixture
def door(template: Path, tmp_path: Path) -> Iterator[Door]:
    with open_jobs(template, tmp_path / "world") as world:
        accounts = Accounts(world.world.database)
        app = FastAPI()
        app.state.accounts = accounts
        answer_problems(app)
        app.include_router(router(world.jobs, lambda: world.world.now))
        tokens = {
            role: accounts.issue_token(
                "kim", role.value, role, by="test", now=world.world.now
            ).secret
            for role in Role
        }
        yield Door(world, app, tokens)


def test_a_job_is_asked_for_watched_and_its_results_fetched(door: Door) -> None:
    made = door.bench(devices=["cam-1", "cam-2"], rounds=7, when="now", variants=["fp32"])
    assert made.status == 201
    assert (made.json["state"], made.json["by"], made.json["terms"]["rounds"]) == (
        "waiting",
        "kim",
        7,
    )
    job = door.world.jobs.get(made.json["id"])
    door.world.turn()
    said = [bench_result(job, "cam-1", 2.0), bench_result(job, "cam-2", 3.0)]
    door.world.say(*(job_result(job, one.device, one) for one in said))
    shown = door.ask("GET", f"/v1/jobs/{job.id}", role=LOOK).json
    assert [one["state"] for one in shown["devices"]] == ["done", "done"]
    assert shown["job"]["reason"] == "2 of 2 devices done"
    assert shown["spreads"] == [{"variant": "fp32", "devices": 2, "p50_ms": 2.5, "spread": 0.5}]
    lines = door.ask("GET", f"/v1/jobs/{job.id}/results", role=LOOK)
    assert lines.headers["content-type"].startswith("application/jsonl")
    assert lines.body == b"".join(encode_json(one) + b"\n" for one in said)
    listed = door.ask("GET", "/v1/jobs?active=false", role=LOOK).json
    assert [one["id"] for one in listed] == [job.id]
    assert door.ask("GET", "/v1/jobs?active=true", role=LOOK).json == []


def test_measurements_come_page_by_page(door: Door) -> None:
    job = door.world.jobs.get(door.bench().json["id"])
    door.world.turn()
    door.world.say(*(job_result(job, name) for name in ("cam-1", "cam-2")))
    first = door.ask("GET", "/v1/measurements?model=digits&version=2&limit=1", role=LOOK)
    assert first.headers[AFTER.lower()] == "1"
    [line] = first.body.splitlines()
    assert decode_json(BenchResult, line).device == "cam-1"
    second = door.ask("GET", "/v1/measurements?after=1", role=LOOK)
    assert AFTER.lower() not in second.headers
    assert decode_json(BenchResult, second.body).device == "cam-2"
    for query in ("model=other", f"bundle=sha256:{'0' * 64}", "device=cam-9", "version=9"):
        assert door.ask("GET", f"/v1/measurements?{query}", role=LOOK).body == b""
    artifact = next(iter(job.artifacts.values()))
    assert len(door.ask("GET", f"/v1/measurements?artifact={artifact}").body.splitlines()) == 2


def test_a_model_version_stands_for_its_bundle(door: Door) -> None:
    body = {"model": "digits", "version": 2, "devices": ["lab-1"]}
    made = door.ask("POST", "/v1/jobs/bench", body)
    assert made.json["bundle"] == door.world.world.bundle(2, "lab")
    several = door.ask("POST", "/v1/jobs/bench", {"model": "digits", "version": "2"})
    assert (several.status, several.json["hint"]) == (422, "choose one: --on profile:box")


def test_a_job_is_withdrawn_once(door: Door) -> None:
    job = door.bench().json["id"]
    path = f"/v1/jobs/{job}/withdraw"
    assert door.ask("POST", path, {"reason": "no"}).json["state"] == "withdrawn"
    assert door.ask("POST", path, {}).status == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"bundle": "sha256:" + "0" * 64}, 404),
        ({"bundle": "latest"}, 422),
        ({"bundle": None}, 422),
        ({"model": "digits", "version": 2}, 422),
        ({"bundle": None, "model": "digits", "version": 9}, 404),
        ({"bundle": None, "model": "digits", "version": "no-alias"}, 404),
        ({"devices": ["cam-9"]}, 404),
        ({"devices": []}, 422),
        ({"devices": ["lab-1"]}, 409),
        ({"profile": "lab"}, 409),
        ({"text": "nobody"}, 404),
        ({"rounds": 0}, 422),
        ({"rounds": 10**400}, 422),
        ({"iterations": -1}, 422),
        ({"threads": 0}, 422),
        ({"limit_s": 1e12}, 422),
        ({"lifetime_s": 0}, 422),
        ({"at_most": 0}, 422),
        ({"when": "never"}, 422),
        ({"variants": ["int4"]}, 422),
        ({"key": ""}, 422),
        ({"surprise": 1}, 422),
    ],
)
def test_what_cannot_be_meant_is_refused(door: Door, body: dict[str, Any], status: int) -> None:
    answer = door.bench(**body)
    assert answer.status == status, answer.body
    assert door.world.jobs.list() == ()


def test_an_unlisted_or_revoked_bundle_is_refused_in_one_line(door: Door) -> None:
    world = door.world.world
    world.releases.revoke(door.world.bundle, by="kim", now=world.now)
    answer = door.bench()
    assert (answer.status, answer.json["kind"]) == (409, "ConflictError")
    assert answer.json["detail"].endswith("of digits:2 was revoked by kim")


def test_who_may_only_look_asks_nobody_for_anything(door: Door) -> None:
    job = door.bench().json["id"]
    body = {"bundle": door.world.bundle}
    for method, path, what in (
        ("POST", "/v1/jobs/bench", body),
        ("POST", f"/v1/jobs/{job}/withdraw", {}),
    ):
        assert door.ask(method, path, what, role=LOOK).status == 403
        assert door.ask(method, path, what, role=None).status == 401
    for path in ("/v1/jobs", f"/v1/jobs/{job}", f"/v1/jobs/{job}/results", "/v1/measurements"):
        assert door.ask("GET", path, role=LOOK).status == 200
        assert door.ask("GET", path, role=None).status == 401
    for path in ("/v1/jobs/bench-0", "/v1/jobs/bench-0/results"):
        assert door.ask("GET", path, role=LOOK).status == 404
