# SPDX-License-Identifier: Apache-2.0
"""A worker process that is killed inside a transaction, and the next that goes on."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.rollout import State
from tests.fakes.rollout_world import make_world, open_world

NAMES = ("cam-1", "cam-2")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rollout") / "template"
    make_world(folder)
    with open_world(folder, folder) as world:
        world.add(*NAMES)
        world.start(plan=Plan(canary="100%", soak_s=0, deadline_s=600, least_calls=0))
    return folder


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_a_killed_worker_is_gone_on_with(template: Path, tmp_path: Path, number: int) -> None:
    folder = tmp_path / "world"
    with open_world(template, folder):
        pass
    command = [sys.executable, "-m", "tests.fakes.rollout_worker", str(folder), str(number)]
    done = subprocess.run(command, cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    with open_world(template, folder) as world:
        world.later(seconds=10)
        world.run()
        assert {world.wanted(name) for name in NAMES} == {world.bundle(2)}
        assert [world.devices.device(name).desired for name in NAMES] == [2, 2]
        for name in NAMES:
            world.take(name)
        world.run(2)
        assert world.rollouts.get(1).state is State.COMPLETED
        kinds = [event.kind for event in world.rollouts.events(1)]
        assert kinds == ["start", "begin", *["asked"] * 2, *["committed"] * 2, "complete"]
