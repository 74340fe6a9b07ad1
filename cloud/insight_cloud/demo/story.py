# SPDX-License-Identifier: Apache-2.0
"""`insight-cloud demo`: the whole loop, from training to a retrained model on every device.

Everything happens in child processes with the ordinary programs and over the
ordinary API; this module calls them in order. Whoever watches the fleet is told
nothing of the shift. `promises` judges what came out.
"""

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from insight_cloud.demo import first_version, gathering, screen
from insight_cloud.demo.chaos import Chaos
from insight_cloud.demo.client import Client
from insight_cloud.demo.machines import Machine, three_of
from insight_cloud.demo.pace import Pace
from insight_cloud.demo.people import Labeller
from insight_cloud.demo.programs import call_json, output_of
from insight_cloud.demo.promises import BrokenPromiseError, Story, promises
from insight_cloud.demo.stage import DEPLOYMENT, MODEL, NAMES, Scenery, Stage, scenery, set_up
from insight_cloud.demo.watching import Seen, Watcher
from insight_cloud.demo.world import NO_SHIFT, check_shift, known_labels
from insight_edge.errors import ConfigurationError

NO_SHIFT_S = 60.0

RETRAINING_S, RETRAINING_AMID_KILLS_S = 300.0, 900.0
"""Until it is given up; a worker that is killed again and again begins its step again."""

DROP_BUDGET_PP = 2.0
ENDED = {"promoted", "stopped", "rolled back", "failed", "cancelled"}

FIRST_PLAN = {
    "canary": "1",
    "waves": ["100%"],
    "soak_s": 0.0,
    "least_calls": 0,
    "deadline_s": 120.0,
}
RETRAINING_PLAN = {"canary": "1", "waves": ["100%"], "least_calls": 30, "deadline_s": 120.0}
RETRAINING = {
    "automatic": True,
    "deployment": DEPLOYMENT,
    "samples": 540,
    "samples_each": 300,
    "holdout": 0.2,
    "max_drop_pp": DROP_BUDGET_PP,
    "labels_within_s": 180.0,
    "rollout_within_s": 180.0,
    # All devices share this machine with everything else: none of them is ever idle.
    "timing_within_s": 0.0,
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the demo is told.

    Attributes:
        folder: emptied first.
        shift: what happens to the world.
        seed: of training, streams, noise and kills.
        stay: leave everything running at the end.
        kill_each_s: some process is killed so often, on average; None kills none.
        kill_rounds: how often each is killed; None is without end.
        devices: how many, at most three.
        training: settings laid over the training file.
        targets: that are compiled; none are all that the compiler would try.
        labels: how many a retraining waits for.
        pace: how fast everything goes.
        trained: a folder with version 1, its `state` and its `export`; None trains it.
    """

    folder: Path
    train_toml: Path
    shift: str = "defocus-dim"
    seed: int = 0
    stay: bool = False
    kill_each_s: float | None = None
    kill_rounds: int | None = None
    devices: int = 3
    training: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    labels: int = 190
    pace: Pace = field(default_factory=Pace)
    trained: Path | None = None


def tell_story(options: Options) -> None:
    """Run the demo and print what came out.

    Raises:
        ConfigurationError: there is no such training file or shift; the folder is left alone.
        BrokenPromiseError: a promise was not kept; the table says which.
        InsightEdgeError: a step failed; what it said is on the terminal.
    """
    started_s = time.monotonic()
    folder = options.folder
    if not options.train_toml.is_file():
        raise ConfigurationError(
            f"{options.train_toml}: no such file", hint="examples/train.toml is one"
        )
    check_shift(options.shift)
    machines = three_of(_machines())[: options.devices]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if options.trained is not None:
        first_version.take_trained(options.trained, folder)
    scene = scenery(folder, options.shift, options.seed)
    with set_up(folder, options.seed, options.pace, stay=options.stay) as stage:
        if options.trained is None:
            seed = f"fitting.seed={options.seed}"
            first_version.train(folder, options.train_toml, (seed, *options.training))
        names = [machine.id for machine in machines]
        first_version.publish(folder, names, options.targets, DROP_BUDGET_PP)
        screen.chapter(f"A cloud at {stage.address}")
        stage.await_cloud()
        client = Client(stage.address, _token(folder))
        diary = screen.Diary(started_s)
        watcher = Watcher(client, MODEL, diary.say, stage.check)
        client.put(f"/v1/models/{MODEL}/retraining", _policy(options))
        _roll_out_first(stage, machines, scene, client, watcher)
        pace = options.pace
        with (
            Labeller(
                client, MODEL, _book(scene), begins_s=pace.begins_s, each_s=pace.look_s
            ) as labeller,
            _kills(options, stage, diary) as kills,
        ):
            shifted_s = _live(options, stage, watcher)
        moments = gathering.Moments(
            started_s=started_s, shifted_s=shifted_s, application_kills=kills["application"]
        )
        story = gathering.gather(stage, scene, client, watcher.seen, labeller.work, moments)
        client.close()
        _judge(story, stage, options, kills)


def _judge(story: Story, stage: Stage, options: Options, kills: Mapping[str, int]) -> None:
    screen.show(story, stage.address, options.folder)
    if options.kill_each_s is not None:
        screen.show_kills(kills)
    kept = promises(story, in_time=options.kill_each_s is None)
    screen.show_promises(kept)
    if options.stay:
        screen.show_stay(stage.address, options.folder)
    broken = [promise.name for promise in kept if not promise.kept]
    if broken:
        raise BrokenPromiseError(f"not kept: {'; '.join(broken)}")


def _live(options: Options, stage: Stage, watcher: Watcher) -> float | None:
    screen.chapter(f"The applications ask; nothing happens for {options.pace.quiet_s:.0f} s")
    watcher.go_on(options.pace.quiet_s)
    if options.shift == NO_SHIFT:
        screen.chapter(f"Nothing happens for another {NO_SHIFT_S:.0f} s")
        watcher.go_on(NO_SHIFT_S)
        return None
    screen.chapter(f"The world changes: {options.shift}")
    shifted_s = stage.shift_world()
    watcher.until(lambda seen: bool(seen.alarms), 120, "an alarm")
    within_s = RETRAINING_S if options.kill_each_s is None else RETRAINING_AMID_KILLS_S
    watcher.until(_run_ended, within_s, "a retraining that ended")
    screen.chapter(f"The retrained model serves for {options.pace.after_s:.0f} s")
    watcher.go_on(options.pace.after_s)
    return shifted_s


@contextmanager
def _kills(options: Options, stage: Stage, diary: screen.Diary) -> Iterator[Mapping[str, int]]:
    """Let processes be killed meanwhile, and give how often which."""
    if options.kill_each_s is None:
        yield Counter()
        return
    rounds = options.kill_rounds
    with Chaos(stage, options.seed, options.kill_each_s, diary.say, rounds=rounds) as chaos:
        yield chaos.kills


def _book(scene: Scenery) -> dict[bytes, int]:
    """Return what a person knows who labels: the pool, in both worlds."""
    images = scene.images[:, scene.pool].reshape(-1, *scene.images.shape[2:])
    return known_labels(images, np.tile(scene.labels[scene.pool], 2))


def _roll_out_first(
    stage: Stage, machines: tuple[Machine, ...], scene: Scenery, client: Client, watcher: Watcher
) -> None:
    screen.chapter("Devices enrol; version 1 is rolled out to them")
    for name, machine in zip(NAMES, machines, strict=False):
        invited = client.post("/v1/invitations", {"device": name})
        stage.add_device(name, invited["token"], machine, scene)
    wanted = {"model": MODEL, "version": 1, "deployment": DEPLOYMENT, "plan": FIRST_PLAN}
    made = client.post("/v1/rollouts", wanted)
    watcher.until(
        lambda seen: seen.rollouts[made["id"]]["state"] == "completed", 120, "version 1 everywhere"
    )
    stage.await_serving()


def _policy(options: Options) -> dict[str, Any]:
    ours = {"labels": options.labels, "targets": options.targets}
    return RETRAINING | ours | {"plan": RETRAINING_PLAN | {"soak_s": options.pace.soak_s}}


def _run_ended(seen: Seen) -> bool:
    return seen.run is not None and seen.run["state"] in ENDED


def _token(folder: Path) -> str:
    place = ("--state", folder / "cloud")
    return output_of("insight-cloud", "user", "token", "demo", "--days", 1, *place).strip()


def _machines() -> list[Machine]:
    listed = call_json("insight-edge", "profiles", "list")["profiles"]
    fitting = [row for row in listed if str(row["this_machine"]).startswith("yes")]
    return [
        Machine(
            id=row["id"],
            cores=row["cores"],
            memory_gib=row["memory_gib"],
            isa=tuple(
                call_json("insight-edge", "profiles", "show", row["id"])["cpu"]["isa"]["value"]
            ),
        )
        for row in fitting
    ]
