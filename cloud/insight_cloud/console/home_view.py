# SPDX-License-Identifier: Apache-2.0
"""What needs somebody, worked out from how everything stands. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from insight_cloud.console.tags import Kind
from insight_cloud.monitoring.alarm import Alarm
from insight_cloud.pipelines.rules import Run, RunState
from insight_cloud.releases.rules import Release
from insight_cloud.rollouts.rollout import Rollout, State


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """How everything stands.

    Attributes:
        alarms: open ones.
        rollouts, runs: those that go on.
        labels: open tasks by model.
        pending: bundles that wait for a person.
        profiles: by digest of a bundle, what it was compiled for.
        quarantined: messages, of the last hundred at most.
    """

    devices: int = 0
    online: int = 0
    behind: int = 0
    held: int = 0
    alarms: tuple[Alarm, ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    runs: tuple[Run, ...] = ()
    labels: Mapping[str, int]
    pending: tuple[Release, ...] = ()
    profiles: Mapping[str, str] = field(default_factory=dict)
    quarantined: int = 0


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that needs somebody, and where to go."""

    kind: Kind
    name: str
    text: str
    address: str


def attention(waiting: Waiting) -> tuple[Item, ...]:
    """Return what needs somebody, the most urgent first."""
    return (
        *(_alarm(one, waiting.profiles.get(one.bundle)) for one in waiting.alarms),
        *(_rollout(one) for one in waiting.rollouts if one.state is State.PAUSED),
        *(_run(one) for one in waiting.runs if one.state is RunState.WAITING),
        *(_release(one) for one in waiting.pending),
        *(_labels(model, left) for model, left in waiting.labels.items() if left),
        *_fleet(waiting),
    )


def _alarm(alarm: Alarm, profile: str | None) -> Item:
    name = f"Alarm on {alarm.model}:{alarm.version}" + (f" for {profile}" if profile else "")
    return Item(kind="bad", name=name, text=alarm.sentence, address=f"/drift/{alarm.bundle}")


def _rollout(rollout: Rollout) -> Item:
    name = f"Rollout {rollout.id} of {rollout.label} is paused"
    return Item(kind="warn", name=name, text=rollout.reason, address=f"/rollouts/{rollout.id}")


def _run(run: Run) -> Item:
    text = run.steps[-1].text if run.steps else run.because
    name = f"Run {run.number} of {run.model} waits for a person"
    return Item(kind="warn", name=name, text=text, address=f"/pipelines/{run.id}")


def _release(release: Release) -> Item:
    name = f"{release.model}:{release.version} for {release.profile} waits for approval"
    text = "Devices cannot install it before."
    return Item(kind="warn", name=name, text=text, address=f"/bundles/{release.bundle}")


def _labels(model: str, left: int) -> Item:
    name = f"{left} input{'s' if left != 1 else ''} of {model} to label"
    text = "Devices were uncertain of them, or they were out of range."
    return Item(kind="info", name=name, text=text, address=f"/labelling?model={model}")


def _fleet(waiting: Waiting) -> tuple[Item, ...]:
    items = []
    offline = waiting.devices - waiting.online
    for count, what, text, query in (
        (offline, "offline", "They go on inferring; updates wait for them.", "online=no"),
        (waiting.behind, "behind", "They have not accepted what they should run.", "behind=yes"),
        (waiting.held, "held", "Their owners have stopped updates.", "held=yes"),
    ):
        if count:
            name = f"{count} device{'s' if count != 1 else ''} {what}"
            items.append(Item(kind="", name=name, text=text, address=f"/devices?{query}"))
    return tuple(items)
