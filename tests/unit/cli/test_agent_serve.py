# SPDX-License-Identifier: Apache-2.0
"""The plan that `agent serve` writes, and what it refuses because the server would."""

from pathlib import Path
from typing import Any

import pytest

from insight_edge.cli.agent import serve
from insight_edge.documents.enrolment import Broker, Identity
from insight_edge.documents.serve_plan import ServePlan, serve_words
from insight_edge.errors import ConfigurationError
from insight_edge.fleet.identity import deployment_dir, keep_identity
from insight_edge.fleet.serving.plan import read_plan

IDENTITY = Identity(
    tenant="default", device="press-7", profile="box", secret="s", cloud="http://127.0.0.1:1",
    broker=Broker(host="127.0.0.1", port=1), root="{}", deployments=("camera-1", "camera-2"),
)  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> Path:
    keep_identity(tmp_path, IDENTITY)
    return tmp_path


def test_plan_has_absolute_paths_and_goes_again(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(state)
    serve("camera-2", state=state, socket=Path("a.sock"), threads=2, name="--port=1")
    place = deployment_dir(state, "camera-2")
    plan = read_plan(place)
    assert plan == ServePlan(socket=str(state / "a.sock"), threads=2, name="--port=1")
    assert serve_words(plan) == [f"--socket={state / 'a.sock'}", "--name=--port=1", "--threads=2"]
    assert read_plan(deployment_dir(state, "camera-1")) is None
    assert serve_words(ServePlan(child=True, child_memory_mb=64)) == [
        "--child-memory-mb=64",
        "--child",
    ]
    for _ in range(2):
        serve("camera-2", state=state, off=True)
        assert read_plan(place) is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"port": 0}, "nobody would know which port it is"),
        ({"port": 70000}, "there is no port 70000"),
        ({"socket": Path("a"), "port": 1}, "a Unix socket has no host and no port"),
        ({"host": "192.0.2.1"}, "it needs TLS and a token"),
        ({"threads": 0}, "threads are 1 or more"),
        ({"child_memory_mb": 0}, "child-memory-mb is 1 or more"),
    ],
)
def test_server_that_would_not_start_is_refused_at_once(
    state: Path, flags: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        serve("camera-1", state=state, **flags)
    assert read_plan(deployment_dir(state, "camera-1")) is None


def test_deployment_that_this_machine_has_not_is_named(state: Path) -> None:
    with pytest.raises(ConfigurationError, match="no deployment 'door'") as caught:
        serve("door", state=state)
    assert caught.value.hint == "it has camera-1, camera-2"
