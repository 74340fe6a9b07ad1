# SPDX-License-Identifier: Apache-2.0
"""Retraining and builds as operators reach them: over HTTP and by the verbs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_cloud.accounts.rules import Role
from insight_cloud.cli.main import run
from insight_cloud.pipelines.recording import Recording
from insight_cloud.pipelines.rules import Policy, RunState, StepState
from insight_cloud.platform.clock import now
from tests.fakes.operators import MODEL, Operators, open_operators

RUNS, POLICY = "/v1/pipelines/runs", f"/v1/models/{MODEL}/retraining"


@pytest.fixture
def operators(tmp_path: Path) -> Iterator[Operators]:
    with open_operators(tmp_path) as operators:
        yield operators


def test_a_run_is_opened_shown_and_cancelled(operators: Operators) -> None:
    made = operators.ask("POST", RUNS, {"model": MODEL, "because": "it rains"}, role=Role.OPERATOR)
    assert made.status == 201
    assert (made.json["state"], made.json["by"], made.json["number"]) == ("queued", "kim", 1)
    recording = Recording(operators.cloud.database, "default")
    recording.begin(made.json["id"], "survey", "looking", now())
    recording.end(made.json["id"], "survey", StepState.DONE, "2 devices", now())
    shown = operators.ask("GET", f"{RUNS}/{made.json['id']}", role=Role.VIEWER)
    assert (shown.status, shown.json["state"]) == (200, "running")
    assert shown.json["steps"][0]["text"] == "2 devices"
    again = operators.ask("POST", RUNS, {"model": MODEL}, role=Role.OPERATOR)
    assert (again.status, again.json["kind"]) == (409, "ConflictError")
    cancelled = operators.ask("POST", f"{RUNS}/{made.json['id']}/cancel", role=Role.OPERATOR)
    assert cancelled.json["cancelled_by"] == "kim"
    listed = operators.ask("GET", RUNS, role=Role.VIEWER, model=MODEL, active=True)
    assert [one["id"] for one in listed.json] == [made.json["id"]]
    assert operators.ask("GET", RUNS, role=Role.VIEWER, model="other").json == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", RUNS, {"model": MODEL}),
        ("POST", f"{RUNS}/x/cancel", None),
        ("PUT", POLICY, {}),
    ],
)
def test_who_only_looks_changes_nothing(
    operators: Operators, method: str, path: str, body: object
) -> None:
    assert operators.ask(method, path, body, role=Role.VIEWER).status == 403
    assert operators.ask(method, path, body, role=None).status == 401
    for place in (RUNS, POLICY, "/v1/builds"):
        assert operators.ask("GET", place, role=None).status == 401
    assert operators.cloud.pipelines.runs() == ()


def test_what_is_not_there_is_404(operators: Operators) -> None:
    assert operators.ask("GET", f"{RUNS}/x").status == 404
    assert operators.ask("POST", f"{RUNS}/x/cancel").status == 404
    assert operators.ask("POST", RUNS, {"model": "none"}).status == 404
    assert operators.ask("PUT", "/v1/models/none/retraining", {}).status == 404


def test_a_policy_is_set_and_shown(operators: Operators) -> None:
    before = operators.ask("GET", POLICY, role=Role.VIEWER).json
    assert before["automatic"] is False
    assert Policy(**before | {"targets": tuple(before["targets"])}) == Policy()
    plan = {"canary": "1", "waves": ["100%"]}
    wanted = {"automatic": True, "labels": 50, "targets": ["openvino:int8"], "plan": plan}
    assert operators.ask("PUT", POLICY, wanted, role=Role.OPERATOR).status == 200
    assert operators.ask("GET", POLICY).json == before | wanted
    assert operators.cloud.pipelines.policy(MODEL).plan["waves"] == ["100%"]
    assert operators.cloud.pipelines.policy(MODEL).targets == ("openvino:int8",)


@pytest.mark.parametrize(
    "body",
    [
        {"labels": 0},
        {"holdout": 1.0},
        {"label": 3},
        {"plan": {"canari": "1"}},
        {"cooldown_s": 1e12},
        {"targets": ["int8"]},
        {"targets": ["openvino:int8"] * 33},
        {"plan": {str(number): 1 for number in range(65)}},
    ],
)
def test_a_policy_that_cannot_be_meant_is_422(operators: Operators, body: object) -> None:
    assert operators.ask("PUT", POLICY, body).status == 422
    assert operators.cloud.pipelines.policies() == {}


def test_builds_are_listed(operators: Operators) -> None:
    builds = operators.cloud.builds
    builds.queue(MODEL, 1, ["hp-t540-8gb"], by="test", now=now())
    [listed] = operators.ask("GET", "/v1/builds", role=Role.VIEWER, model=MODEL).json
    assert (listed["state"], listed["profile"], listed["trials"]) == ("queued", "hp-t540-8gb", [])
    assert operators.ask("GET", "/v1/builds", limit=0).status == 422


def test_the_verbs_do_the_same(
    operators: Operators, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    place = ["--state", str(operators.cloud.settings.state)]
    assert run(["pipeline", "start", MODEL, "--because", "it rains", *place]) == 0
    said = capsys.readouterr()
    name = said.out.strip()
    assert said.err == f"run 1 of {MODEL} is queued\n"
    recording = Recording(operators.cloud.database, "default")
    recording.begin(name, "survey", "looking", now())
    assert run(["pipeline", "list", "--model", MODEL, *place]) == 0
    assert "it rains" in capsys.readouterr().out
    assert run(["pipeline", "cancel", name, *place]) == 0
    assert "asked to end" in capsys.readouterr().err
    recording.finish(name, RunState.CANCELLED, "cancelled by a test", now())
    assert run(["pipeline", "show", name, *place]) == 0
    shown = capsys.readouterr()
    assert "survey" in shown.out
    assert shown.err == "cancelled: cancelled by a test\n"
    assert run(["pipeline", "show", name, "--format", "json", *place]) == 0
    assert json.loads(capsys.readouterr().out)["number"] == 1
    assert run(["pipeline", "list", "--format", "json", *place]) == 0
    assert json.loads(capsys.readouterr().out)[0]["id"] == name
    assert run(["pipeline", "start", "none", *place]) == 2
    assert "no model 'none'" in capsys.readouterr().err
