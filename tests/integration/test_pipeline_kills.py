# SPDX-License-Identifier: Apache-2.0
"""A retraining whose worker is killed again and again: what was finished is not done again."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from insight_cloud.builds.rules import BuildState
from insight_cloud.pipelines.rules import Run, RunState, StepState
from tests.fakes.pipeline_world import MODEL, POLICY, PipelineWorld, now

DEADLINE_S = 40.0
POLL_S = 0.02


@pytest.fixture
def world(tmp_path: Path) -> Iterator[PipelineWorld]:
    world = PipelineWorld(tmp_path)
    world.settle()
    yield world
    world.close()


@contextmanager
def worker(world: PipelineWorld) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-W", "error", "-m", "tests.fakes.pipeline_world", str(world.folder)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as process:
        try:
            yield process
        finally:
            process.kill()


def until(holds: Callable[[], bool], world: PipelineWorld) -> None:
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / POLL_S)):
        if holds():
            return
        pause.wait(POLL_S)
    raise TimeoutError(f"{world.effects()} {world.pipelines.runs()}")


def the_run(world: PipelineWorld) -> Run:
    [run] = world.pipelines.runs(MODEL)
    return run


def has_ended(world: PipelineWorld) -> bool:
    runs = world.pipelines.runs(MODEL)
    return bool(runs) and not runs[0].state.active


def hangs(world: PipelineWorld, what: str) -> bool:
    """Return whether the child of a step runs and has said its number."""
    try:
        return (world.folder / f"{what}.pid").read_text().endswith("\n")
    except FileNotFoundError:
        return False


def turns(world: PipelineWorld, pid: int) -> int:
    """Return how often a worker has looked whether there is something to do."""
    said = world.neighbours.told(f"turns-{pid}", "0")
    return int(said)


def is_there(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_worker_killed_in_the_middle_of_every_step_ends_the_run_and_repeats_none(
    world: PipelineWorld,
) -> None:
    world.tell("alarm", now().isoformat())
    slow = ("train", "evaluate", "compile")
    for what in slow:
        world.tell(f"hang-{what}", "")

    with worker(world) as process:  # killed while it waits for labels
        until(lambda: "ask 4 since 7" in world.effects(), world)
        process.kill()
    world.tell("labels", "5")
    for what in slow:
        with worker(world) as process:
            until(lambda what=what: hangs(world, what), world)  # type: ignore[misc]
            pid = int((world.folder / f"{what}.pid").read_text())
            assert is_there(pid)
            process.kill()
            process.wait()
        until(lambda pid=pid: not is_there(pid), world)  # type: ignore[misc]
        (world.folder / f"hang-{what}").unlink()
    with worker(world) as process:  # killed while it waits for the rollout
        until(lambda: "roll out" in world.effects(), world)
        process.kill()
    world.tell("rollout", "done")
    with worker(world) as process:
        until(lambda: has_ended(world), world)
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
    run = the_run(world)
    assert (run.state, run.reason) == (RunState.PROMOTED, "digits:2 was rolled out")
    assert {step.state for step in run.steps} == {StepState.DONE}
    assert [step.name for step in run.steps] == [
        "survey", "label", "train", "evaluate", "compile box", "time box", "publish",
        "approve", "roll out", "watch", "promote",
    ]  # fmt: skip
    done = world.effects()
    assert [done.count(what) for what in slow] == [2, 2, 2]
    assert [done.count(what) for what in ("register", "roll out", "close a1")] == [1, 1, 1]
    assert world.registry.aliases(MODEL) == {"production": 2}
    assert len(world.registry.versions(MODEL)) == 2
    assert [build.attempt for build in world.builds.builds(MODEL)] == [2, 1]


def test_worker_killed_while_a_device_s_times_are_weighed_weighs_them_again(
    world: PipelineWorld,
) -> None:
    world.tell("alarm", now().isoformat())
    for name, told in (("labels", "5"), ("predicted", "1"), ("able", "1"), ("timed", "press-1")):
        world.tell(name, told)
    world.tell("rollout", "done")
    world.tell("hang-settle", "")
    with worker(world) as process:
        until(lambda: hangs(world, "settle"), world)
        process.kill()
    (world.folder / "hang-settle").unlink()
    with worker(world) as process:
        until(lambda: has_ended(world), world)
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
    run = the_run(world)
    assert (run.state, run.reason) == (RunState.PROMOTED, "digits:2 was rolled out")
    said = {step.name: step.text for step in run.steps}
    assert said["time box"] == "onnxruntime:fp32 3 ms on press-1"
    assert world.effects().count("compile") == 1
    states = [build.state for build in world.builds.builds(MODEL)]
    assert states.count(BuildState.FAILED) == 1
    assert states.count(BuildState.DONE) == 2


def test_a_worker_that_is_told_to_end_does_so_and_another_goes_on(world: PipelineWorld) -> None:
    world.tell("labels", "4")
    world.tell("rollout", "done")
    world.tell("hang-train", "")
    world.pipelines.open(MODEL, because="somebody asks", by="ada", now=now())
    with worker(world) as process:
        until(lambda: hangs(world, "train"), world)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    assert the_run(world).state is RunState.RUNNING
    (world.folder / "hang-train").unlink()
    with worker(world):
        until(lambda: has_ended(world), world)
    assert the_run(world).state is RunState.PROMOTED


def test_of_two_workers_one_hosts_the_runs_and_the_other_takes_over(world: PipelineWorld) -> None:
    world.tell("labels", "4")
    world.tell("rollout", "done")
    world.tell("hang-train", "")
    world.pipelines.open(MODEL, because="somebody asks", by="ada", now=now())
    with worker(world) as first:
        until(lambda: hangs(world, "train"), world)
        with worker(world) as second:
            until(lambda: turns(world, second.pid) >= 3, world)
            assert world.effects().count("train") == 1
            (world.folder / "hang-train").unlink()
            os.kill(first.pid, signal.SIGKILL)
            until(lambda: has_ended(world), world)
    assert the_run(world).state is RunState.PROMOTED
    assert world.effects().count("register") == 1


def test_a_cancelled_run_stops_its_child_and_ends(world: PipelineWorld) -> None:
    world.tell("labels", "4")
    world.tell("hang-train", "")
    run = world.pipelines.open(MODEL, because="somebody asks", by="ada", now=now())
    with worker(world):
        until(lambda: hangs(world, "train"), world)
        pid = int((world.folder / "train.pid").read_text())
        world.pipelines.cancel(run.id, by="bob", now=now())
        until(lambda: has_ended(world), world)
    assert not is_there(pid)
    ended = the_run(world)
    assert (ended.state, ended.reason) == (RunState.CANCELLED, "cancelled by bob")
    assert ended.steps[-1].state is StepState.STOPPED
    assert len(world.registry.versions(MODEL)) == 1
    assert POLICY.cooldown_s > 0
