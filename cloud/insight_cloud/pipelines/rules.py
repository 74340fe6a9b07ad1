# SPDX-License-Identifier: Apache-2.0
"""When a model is retrained, and whether the new version is shipped. Pure.

Two figures decide, both paired: the rows of `validation`, which are the old world, and
labelled rows that neither version was trained on, which are the new one.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from insight_edge.documents.target import target_from_token
from insight_edge.errors import ConfigurationError
from insight_edge.stats.interval import wilson

MIN_ROWS: Final = 30
"""With fewer held-out rows no bound is asked for: the new version must not be worse on them."""

ONE_SIDED: Final = 0.90
"""Confidence of the two-sided interval whose lower end is the one-sided 95 % bound."""

DAY_S: Final = 86_400.0
MAX_S: Final = 365 * DAY_S
MAX_SAMPLES: Final = 100_000


class RunState(StrEnum):
    """How far a run is, or how it ended."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting for approval"
    PROMOTED = "promoted"
    STOPPED = "stopped"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def active(self) -> bool:
        """Whether it goes on."""
        return self in {RunState.QUEUED, RunState.RUNNING, RunState.WAITING}


class StepState(StrEnum):
    """How far a step of a run is, or how it ended."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How a model is retrained.

    Attributes:
        automatic: an alarm opens a run; otherwise a person does.
        deployment: whose devices run the model.
        samples: how many are asked for in all.
        samples_each: how many of one device a day.
        labels: how many new ones are waited for.
        holdout: about which share of the labelled rows is not trained on.
        min_gain_pp: on the new world, the lower bound is above it.
        max_old_drop_pp: on the old world, as measured.
        max_drop_pp: that a compilation may lose; None is as each profile says.
        targets: that a compilation tries, as `--target` names them; none are all that it would.
        labels_within_s, approval_within_s, rollout_within_s: before the run is given up.
        timing_within_s: that a device may take to time what was compiled elsewhere; 0 to ask none.
        cooldown_s: after a run that promoted nothing, before an alarm opens another.
        plan: of the rollout, as rollouts read it.
    """

    automatic: bool = False
    deployment: str = "default"
    samples: int = 400
    samples_each: int = 200
    labels: int = 100
    holdout: float = 0.3
    min_gain_pp: float = 0.0
    max_old_drop_pp: float = 3.0
    max_drop_pp: float | None = None
    targets: tuple[str, ...] = ()
    labels_within_s: float = 3 * DAY_S
    approval_within_s: float = 7 * DAY_S
    rollout_within_s: float = 7 * DAY_S
    timing_within_s: float = 3600.0
    cooldown_s: float = 6 * 3600.0
    plan: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Something that monitoring says is wrong with a bundle.

    Attributes:
        id: of the alarm.
        since_s: when the window began that was wrong first, by the devices' clocks.
        sentence: what is wrong and where.
    """

    id: str
    model: str
    bundle: str
    opened: datetime
    since_s: float
    sentence: str


@dataclass(frozen=True, kw_only=True)
class StepSeen:
    """One step of a run.

    Attributes:
        text: what it did, or does, with figures.
        progress: 0 to 1, where that can be told.
    """

    name: str
    state: StepState
    started: datetime
    ended: datetime | None
    text: str
    progress: float | None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One retraining of a model.

    Attributes:
        number: 1 for the first of the model, then one more each.
        because: why it was opened, in a sentence.
        alarm: id of the one that opened it; None where a person did.
        version: that it trained, once it has.
        reason: how it ended, in a sentence; empty before.
        facts: what its steps found, as plain values.
    """

    id: str
    model: str
    number: int
    state: RunState
    because: str
    alarm: str | None
    by: str
    opened: datetime
    ended: datetime | None
    version: int | None
    reason: str
    policy: Policy
    facts: dict[str, Any]
    cancelled_by: str | None
    steps: tuple[StepSeen, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two versions on the same rows.

    Attributes:
        old, new: rows that either has right.
        losses, gains: rows that only the old, only the new version has right.
    """

    rows: int
    old: int
    new: int
    losses: int
    gains: int


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two versions on the old world and on the new one.

    Attributes:
        labelled: rows that neither was trained on.
    """

    validation: Pair
    labelled: Pair


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a new version is shipped, and why."""

    ship: bool
    reason: str


def check_policy(policy: Policy) -> None:
    """Refuse a policy that cannot be meant.

    Raises:
        ConfigurationError: a figure is out of range, or a target is none.
    """
    for token in policy.targets:
        target_from_token(token)
    ranges: tuple[tuple[str, float, float, float], ...] = (
        ("samples", policy.samples, 0, MAX_SAMPLES),
        ("samples_each", policy.samples_each, 0, MAX_SAMPLES),
        ("labels", policy.labels, 1, MAX_SAMPLES),
        ("holdout", policy.holdout, 0.05, 0.95),
        ("min_gain_pp", policy.min_gain_pp, 0, 100),
        ("max_old_drop_pp", policy.max_old_drop_pp, 0, 100),
        ("max_drop_pp", policy.max_drop_pp or 0, 0, 100),
        ("labels_within_s", policy.labels_within_s, 1, MAX_S),
        ("approval_within_s", policy.approval_within_s, 1, MAX_S),
        ("rollout_within_s", policy.rollout_within_s, 1, MAX_S),
        ("timing_within_s", policy.timing_within_s, 0, MAX_S),
        ("cooldown_s", policy.cooldown_s, 0, MAX_S),
    )
    for name, value, low, high in ranges:
        if not low <= value <= high:
            raise ConfigurationError(f"{name} = {value:g}, which is not {low:g} to {high:g}")


def should_open(
    alarms: Iterable[Alarm],
    runs: Sequence[Run],
    policy: Policy,
    now: datetime,
    *,
    deployed: Container[str],
) -> Alarm | str:
    """Return the alarm that opens a run of a model, or why none does.

    An alarm about a bundle that no device should run any more opens none: it is what a device
    tells late, that was away.

    Args:
        alarms: the open ones of the model.
        runs: all of the model.
        policy: of the model.
        now: when.
        deployed: bundles that devices should run.
    """
    if not policy.automatic:
        return "only a person opens a run"
    if any(run.state.active for run in runs):
        return "a run is under way"
    last = max((run for run in runs if run.ended), key=_end, default=None)
    if last is not None and last.state is not RunState.PROMOTED:
        until = _end(last) + timedelta(seconds=policy.cooldown_s)
        if now < until:
            return f"the last run ended {last.state.value}; none is opened before {until:%H:%M} UTC"
    ours = [alarm for alarm in alarms if alarm.bundle in deployed]
    return min(ours, key=lambda alarm: (alarm.opened, alarm.id), default="no alarm is open")


def gain_low_pp(pair: Pair) -> float:
    """Return the one-sided 95 % lower bound of the gain, in percentage points; 0 for no rows.

    Only rows that just one version has right tell the two apart: the bound is that of the share
    of them that the new one won (E. B. Wilson 1927), given how many they are.
    """
    apart = pair.losses + pair.gains
    if not apart:
        return 0.0
    low, _ = wilson(pair.gains, apart, confidence=ONE_SIDED)
    return 100 * apart / pair.rows * (2 * low - 1)


def judge(compared: Compared, policy: Policy) -> Verdict:
    """Return whether the new version is shipped."""
    old_world, new_world = compared.validation, compared.labelled
    drop_pp = _share(old_world.old, old_world) - _share(old_world.new, old_world)
    told = f"{_figures('labelled', new_world)}; {_figures('validation', old_world)}"
    if not old_world.rows or not new_world.rows:
        return Verdict(ship=False, reason=f"there are no rows to compare on: {told}")
    if drop_pp > policy.max_old_drop_pp:
        allowed = f"{drop_pp:.1f} pp are lost on the old world, {policy.max_old_drop_pp:g} may be"
        return Verdict(ship=False, reason=f"{allowed}: {told}")
    if new_world.rows < MIN_ROWS:
        few = f"{new_world.rows} labelled rows are too few for a bound"
        worse = new_world.new < new_world.old
        how = "and the new version is worse on them" if worse else "and it is not worse on them"
        return Verdict(ship=not worse, reason=f"{few}, {how}: {told}")
    low_pp = gain_low_pp(new_world)
    if low_pp <= policy.min_gain_pp:
        wanted = f"it gains at least {low_pp:.1f} pp, more than {policy.min_gain_pp:g} are wanted"
        return Verdict(ship=False, reason=f"not shown to be better, {wanted}: {told}")
    return Verdict(ship=True, reason=f"better by at least {low_pp:.1f} pp: {told}")


def _end(run: Run) -> datetime:
    return run.ended or run.opened


def _share(right: int, pair: Pair) -> float:
    return 100 * right / pair.rows if pair.rows else 0.0


def _figures(name: str, pair: Pair) -> str:
    shares = f"{_share(pair.old, pair):.1f} % -> {_share(pair.new, pair):.1f} %"
    return f"{name} {shares} of {pair.rows}"
