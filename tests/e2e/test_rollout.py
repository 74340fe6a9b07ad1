# SPDX-License-Identifier: Apache-2.0
"""Rollouts over a whole small fleet: one that completes, and one that the device brings back."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from insight_cloud.rollouts.rollout import State
from insight_edge.bundle.slots import Slots
from insight_edge.documents.manifest import ModelInfo
from insight_edge.fleet.identity import identity_of
from insight_edge.runtime.infer import Runtime
from tests.fakes.fleet_world import DEPLOYMENT, DEVICE, Fleet, now, small_fleet
from tests.fakes.matrix import install, one_row, tagged_matrix, write_matrix_bundle
from tests.fakes.programs import program

pytestmark = pytest.mark.slow

GATES = ("--soak", "1s", "--least-calls", "50", "--p99-factor", "100")


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    install(monkeypatch)
    with small_fleet(tmp_path) as made:
        yield made


def publish(fleet: Fleet, version: int, **changes: Any) -> str:
    """Publish the bundle of a version, whose answers are its number."""
    path = fleet.folder / f"version-{version}"
    digest = "sha256:" + f"{version:064}"
    write_matrix_bundle(
        path,
        tagged_matrix(version),
        profile=identity_of(fleet.state).profile,
        model=ModelInfo(name="matrix", version=version, digest=digest),
        **changes,
    )
    return fleet.cloud.releases.publish(path, by="Ada", now=now()).bundle


def operator(fleet: Fleet, *words: str) -> str:
    command = [program("insight-cloud"), "rollout", *words, "--state", str(fleet.folder / "cloud")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(fleet: Fleet, version: int) -> int:
    words = ("start", f"matrix:{version}", "--deployment", DEPLOYMENT, *GATES)
    return int(operator(fleet, *words))


def over(fleet: Fleet, rollout: int) -> bool:
    return fleet.cloud.rollouts.get(rollout).state in {State.COMPLETED, State.ROLLED_BACK}


@contextmanager
def application(fleet: Fleet) -> Iterator[Runtime]:
    """Attach a runtime, and ask it without pause."""
    stop = threading.Event()
    with Runtime.attach(fleet.place) as runtime:

        def ask() -> None:
            while not stop.wait(0.005):
                runtime.infer(one_row())

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield runtime
        finally:
            stop.set()
            thread.join()


def test_a_version_comes_to_the_fleet_and_a_bad_one_is_brought_back(fleet: Fleet) -> None:
    first, second = publish(fleet, 1), publish(fleet, 2)
    bad = publish(fleet, 3, answers_of=tagged_matrix(99))
    fleet.want(first)
    fleet.until(lambda: Slots(fleet.place).committed is not None)
    with application(fleet) as runtime:
        fleet.until(lambda: fleet.standing().committed == first and fleet.standing().attached)

        good = start(fleet, 2)
        fleet.until(lambda: over(fleet, good))
        assert fleet.cloud.rollouts.get(good).state is State.COMPLETED
        assert fleet.standing().committed == second
        assert fleet.cloud.rollouts.why_not(DEVICE, DEPLOYMENT) is None

        failed = start(fleet, 3)
        fleet.until(lambda: over(fleet, failed))
        assert runtime.infer(one_row()).bundle == second
    found = json.loads(operator(fleet, "show", str(failed), "--format", "json"))
    assert found["rollout"]["state"] == "rolled_back"
    assert f"{DEVICE} refused: SelfCheckError" in found["rollout"]["reason"]
    assert [one["state"] for one in found["members"]] == ["returned"]
    decisions = [one["decision"] for one in reversed(found["decisions"])]
    assert decisions == ["start", "begin", "roll_back", "finish"]
    state = fleet.cloud.devices.desired(DEVICE)
    assert state is not None
    assert state.deployments[DEPLOYMENT].bundle == second
    assert state.revision == 4
    assert bad != second
