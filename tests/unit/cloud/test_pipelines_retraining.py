# SPDX-License-Identifier: Apache-2.0
"""How a run ends, without a workflow engine: each step is simply done.

Waits end because a test's clock jumps, or because somebody does something meanwhile.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from insight_cloud.pipelines.retraining import Retraining
from insight_cloud.pipelines.rules import Policy, Run, RunState, StepState
from insight_cloud.platform.schema import TENANT
from insight_cloud.platform.workflows import Json
from insight_cloud.releases.rules import Mode, State
from insight_edge.errors import StorageError
from tests.fakes.pipeline_world import DEPLOYMENT, LOOK_S, MODEL, POLICY, PipelineWorld, now


class Doing:
    """Does steps, and keeps their results as JSON as the engine would.

    Attributes:
        then: called once, before the step of that name is done.
    """

    def __init__(self) -> None:
        self.done: dict[str, str] = {}
        self.then: dict[str, Callable[[], object]] = {}

    def __call__(self, name: str, do: Callable[[], Json]) -> Json:
        self.then.pop(name, lambda: None)()
        self.done[name] = json.dumps(do())
        return json.loads(self.done[name])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[PipelineWorld]:
    world = PipelineWorld(tmp_path)
    world.settle()
    world.tell("labels", "5")
    world.tell("rollout", "done")
    yield world
    world.close()


def retrained(
    world: PipelineWorld,
    *,
    policy: Policy = POLICY,
    doing: Doing | None = None,
    clock: Callable[[], datetime] = now,
) -> Run:
    world.pipelines.set_policy(MODEL, policy, by="test", now=now())
    run = world.pipelines.open(MODEL, because="it rains", by="ada", now=now())
    body = Retraining(
        world.database, world.domains(), clock=clock, stopping=lambda: False, look_s=LOOK_S
    )
    body(f"{TENANT}/{run.id}", doing or Doing())
    return world.pipelines.run(run.id)


def hurrying() -> Callable[[], datetime]:
    """Return a clock by which every look is hours after the one before."""
    times = iter(now() + timedelta(hours=6 * hour) for hour in range(100_000))
    return lambda: next(times)


def test_a_run_says_what_each_step_did(world: PipelineWorld) -> None:
    run = retrained(world)
    assert (run.state, run.version) == (RunState.PROMOTED, 2)
    said = {step.name: step.text for step in run.steps}
    assert said["survey"] == "1 devices of box run it; from digits:1"
    assert said["label"] == "5 labelled rows, 5 of them new"
    assert said["train"] == "digits:2: accuracy 0.900"
    assert said["evaluate"].startswith("better by at least 41.7 pp")
    assert said["compile box"] == "onnxruntime:fp32 3 ms, of 1 targets"
    assert said["publish"] == "box listed"
    assert said["watch"] == "rollout 2: done"
    assert {step.state for step in run.steps} == {StepState.DONE}
    assert {step.progress for step in run.steps} == {1.0}
    assert run.ended is not None


def said_of(run: Run, step: str) -> str:
    return {one.name: one.text for one in run.steps}[step]


def predicting(world: PipelineWorld, *, able: int = 1, timed: str = "") -> None:
    """Let the compiler predict, and devices be there that time what it made."""
    world.tell("predicted", "1")
    world.tell("able", str(able))
    world.tell("timed", timed)


def test_what_was_measured_where_it_was_compiled_is_not_timed_again(world: PipelineWorld) -> None:
    world.tell("able", "3")
    run = retrained(world)
    assert said_of(run, "time box") == "measured where it was compiled"
    assert "time box" not in world.effects()


def test_devices_overturn_what_was_predicted(world: PipelineWorld) -> None:
    predicting(world, timed="press-1")
    doing = Doing()
    run = retrained(world, doing=doing)
    assert run.state is RunState.PROMOTED
    assert said_of(run, "time box") == "onnxruntime:fp32 3 ms on press-1"
    assert "with contenders" in world.effects()
    compiled, timed = (
        json.loads(doing.done[name])["bundle"] for name in ("compile box", "time box")
    )
    assert compiled != timed
    states = {one.bundle: one.state for one in world.releases.releases(MODEL)}
    assert states[compiled] is states[timed] is State.LISTED
    assert world.builds.build_of(timed).attempt == 2


def test_nobody_is_asked_where_no_device_is_there(world: PipelineWorld) -> None:
    predicting(world, able=0)
    run = retrained(world)
    assert run.state is RunState.PROMOTED
    assert said_of(run, "time box") == "predicted: no device of box can be asked"
    assert not {"time box", "with contenders"} & set(world.effects())


def test_nobody_is_asked_where_the_policy_gives_no_time(world: PipelineWorld) -> None:
    predicting(world, timed="press-1")
    run = retrained(world, policy=replace(POLICY, timing_within_s=0.0))
    assert said_of(run, "time box") == "predicted: no device of box can be asked"


def test_devices_time_nothing_that_waits_for_a_person(world: PipelineWorld) -> None:
    predicting(world, timed="press-1")
    world.releases.set_policy(MODEL, Mode.HUMAN, by="Ada", now=now())

    def approve() -> None:
        for release in world.releases.releases(MODEL):
            if release.state is State.PENDING:
                world.releases.approve(release.bundle, by="ada", now=now())

    doing = Doing()
    doing.then["approve"] = approve
    run = retrained(world, doing=doing)
    assert run.state is RunState.PROMOTED
    assert said_of(run, "time box") == (
        "predicted: it is pending, and devices time only what is listed"
    )


@pytest.mark.parametrize(
    ("timed", "said"),
    [
        ("nothing", "job job-1: 1 of 1 device done; as compiled"),
        ("odd", "the compiler exited with 2: no result is of it; as compiled"),
    ],
)
def test_a_fleet_does_not_wait_for_a_measurement_of_no_use(
    world: PipelineWorld, timed: str, said: str
) -> None:
    predicting(world, timed=timed)
    doing = Doing()
    run = retrained(world, doing=doing)
    assert run.state is RunState.PROMOTED
    assert said_of(run, "time box") == said
    compiled, shipped = (
        json.loads(doing.done[name])["bundle"] for name in ("compile box", "time box")
    )
    assert compiled == shipped


def test_a_fleet_does_not_wait_for_devices_that_say_nothing(world: PipelineWorld) -> None:
    predicting(world)
    run = retrained(world, clock=hurrying())
    assert said_of(run, "time box") == (
        "time box: given up after 3600 s: job job-1: 0 of 1 device done; as compiled"
    )


def test_a_version_that_is_not_better_stops_the_run_before_anything_is_compiled(
    world: PipelineWorld,
) -> None:
    world.tell("gained", "0")
    run = retrained(world)
    assert run.state is RunState.STOPPED
    assert run.reason.startswith("digits:2 not shown to be better")
    assert run.steps[-1].name == "evaluate"
    assert run.steps[-1].state is StepState.STOPPED
    assert "compile" not in world.effects()
    assert world.registry.aliases(MODEL) == {}


def test_a_compilation_that_fails_ends_the_run(world: PipelineWorld) -> None:
    world.tell("no-compiler", "")
    run = retrained(world)
    assert run.state is RunState.FAILED
    assert run.reason == "box: the compiler exited with 1: no"
    assert len(world.releases.releases(MODEL)) == 1


def test_a_rollout_that_goes_back_ends_the_run_as_rolled_back(world: PipelineWorld) -> None:
    world.tell("rollout", "rolled back")
    run = retrained(world)
    assert (run.state, run.reason) == (RunState.ROLLED_BACK, "rollout 2: rolled back")
    assert world.registry.aliases(MODEL) == {}
    assert "close a1" not in world.effects()


def test_a_rollout_that_a_person_aborts_stops_the_run(world: PipelineWorld) -> None:
    world.tell("rollout", "aborted")
    assert retrained(world).state is RunState.STOPPED


def test_labels_that_do_not_come_end_the_wait(world: PipelineWorld) -> None:
    world.tell("labels", "3")
    run = retrained(world, clock=hurrying())
    assert run.state is RunState.STOPPED
    assert run.reason == (
        "label: given up after 259200 s: 3 of 4 new labels; 6 of 6 samples asked for"
    )
    assert [line for line in world.effects() if line.startswith("ask")] == [
        "ask 6", "ask 4", "ask 2",
    ]  # fmt: skip
    assert run.facts["asked"] == 6


def test_samples_of_a_drifted_model_are_of_the_world_that_it_does_not_know(
    world: PipelineWorld,
) -> None:
    world.tell("alarm", now().isoformat())
    world.tell("labels", "3")
    retrained(world, clock=hurrying())
    asked = [line for line in world.effects() if line.startswith("ask")]
    assert asked == ["ask 6 since 7", "ask 4 since 7", "ask 2 since 7"]


def test_labels_of_an_earlier_run_are_trained_on_and_not_counted(world: PipelineWorld) -> None:
    world.tell("gained", "0")
    assert retrained(world).facts["labels"] == 5
    run = retrained(world, clock=hurrying())
    assert run.reason.startswith("label: given up")
    world.tell("labels", "9")
    run = retrained(world)
    assert {step.name: step.text for step in run.steps}["label"] == (
        "9 labelled rows, 4 of them new"
    )


def test_a_person_may_have_to_approve(world: PipelineWorld) -> None:
    world.releases.set_policy(MODEL, Mode.HUMAN, by="Ada", now=now())
    seen: list[RunState] = []

    def approve() -> datetime:
        """Look, and approve at the third look."""
        [run] = world.pipelines.runs(MODEL)
        seen.append(run.state)
        if seen.count(RunState.WAITING) == 3:
            for release in world.releases.releases(MODEL):
                if release.state is State.PENDING:
                    world.releases.approve(release.bundle, by="ada", now=now())
        return now()

    assert retrained(world, clock=approve).state is RunState.PROMOTED
    assert RunState.WAITING in seen
    assert seen[-1] is RunState.RUNNING


def test_a_bundle_that_is_revoked_stops_the_run(world: PipelineWorld) -> None:
    doing = Doing()

    def revoke() -> None:
        world.releases.revoke(json.loads(doing.done["compile box"])["bundle"], by="a", now=now())

    doing.then["approve"] = revoke
    run = retrained(world, doing=doing)
    assert (run.state, run.reason) == (
        RunState.STOPPED,
        "a bundle was revoked before it was rolled out",
    )


def test_nothing_is_retrained_that_no_device_runs(world: PipelineWorld) -> None:
    run = retrained(world, policy=replace(POLICY, deployment="none"))
    assert (run.state, run.reason) == (RunState.STOPPED, "no device runs 'digits' as 'none'")


def test_a_run_that_is_cancelled_between_steps_ends(world: PipelineWorld) -> None:
    doing = Doing()

    def cancel() -> None:
        [run] = world.pipelines.runs(MODEL, active=True)
        world.pipelines.cancel(run.id, by="bob", now=now())

    doing.then["publish"] = cancel
    run = retrained(world, doing=doing)
    assert (run.state, run.reason) == (RunState.CANCELLED, "cancelled by bob")
    assert len(world.releases.releases(MODEL)) == 1


def test_a_run_that_is_cancelled_while_devices_change_says_that_they_go_on(
    world: PipelineWorld,
) -> None:
    doing = Doing()

    def cancel() -> None:
        [run] = world.pipelines.runs(MODEL, active=True)
        world.pipelines.cancel(run.id, by="bob", now=now())

    doing.then["watch"] = cancel
    assert retrained(world, doing=doing).reason == (
        "cancelled by bob; rollout 2 goes on without it"
    )


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (StorageError("no space left on device"), "train: no space left on device"),
        (KeyError("ours"), "train: KeyError"),
    ],
)
def test_a_mistake_in_a_step_ends_one_run_with_a_reason(
    world: PipelineWorld, mistake: Exception, said: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise mistake

    world.neighbours.train = fails  # type: ignore[assignment,method-assign]
    run = retrained(world)
    assert (run.state, run.reason) == (RunState.FAILED, said)


def test_the_base_is_the_version_in_production(world: PipelineWorld) -> None:
    artifacts = {"model.onnx": b"two"}
    world.registry.register(MODEL, task="t", artifacts=artifacts, metrics={}, by="Ada", now=now())
    world.registry.assign_alias(MODEL, "production", 2, by="Ada", now=now())
    run = retrained(world)
    assert run.steps[0].text.endswith("from digits:2")
    assert run.version == 3
    assert run.policy.deployment == DEPLOYMENT
