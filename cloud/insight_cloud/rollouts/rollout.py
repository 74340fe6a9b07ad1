# SPDX-License-Identifier: Apache-2.0
"""What a rollout is to the other rooms. Values only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from insight_cloud.devices.selection import Selection
from insight_cloud.rollouts.plan import Plan


class State(StrEnum):
    """How a rollout stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"
    COMPLETED = "completed"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled_back"


ACTIVE = (State.PENDING, State.RUNNING, State.PAUSED, State.ROLLING_BACK)
"""States in which it holds its model and deployment."""


class Decision(StrEnum):
    """What follows from the evidence."""

    WAIT = "wait"
    ADVANCE = "advance"
    PAUSE = "pause"
    ROLL_BACK = "roll_back"
    COMPLETE = "complete"


class MemberState(StrEnum):
    """How a device stands in a rollout.

    Attributes:
        UNFIT: there is no bundle for it.
        WAITING: its wave has not come.
        ASKED, COMMITTED, FAILED: it should run the bundle, does for good, will not.
        RETURNING, RETURNED, STUCK: it should run the earlier bundle, does for good, will not.
        KEPT: there is no earlier bundle for it to go back to.
        LEFT: somebody else decides what it runs.
    """

    UNFIT = "unfit"
    WAITING = "waiting"
    ASKED = "asked"
    COMMITTED = "committed"
    FAILED = "failed"
    RETURNING = "returning"
    RETURNED = "returned"
    STUCK = "stuck"
    KEPT = "kept"
    LEFT = "left"


TAKING = (MemberState.ASKED, MemberState.COMMITTED, MemberState.FAILED)
"""States of a device that was told to run the bundle."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One model version on its way to a deployment of many devices.

    Attributes:
        reason: of the last decision, or what is waited for.
        wave: that is under way, counted from 0.
        waves: how many there are.
        deadline: of this wave, or of going back; None before it has begun.
        waived: a person has taken it upon himself that this wave need not show more.
        changed: when its state or wave did.
    """

    tenant: str
    id: int
    model: str
    version: int
    deployment: str
    selection: Selection
    plan: Plan
    state: State
    reason: str
    wave: int
    waves: int
    deadline: datetime | None
    waived: bool
    by: str
    created: datetime
    changed: datetime

    @property
    def label(self) -> str:
        """`digits:3`, as people write it."""
        return f"{self.model}:{self.version}"


@dataclass(frozen=True, kw_only=True)
class Before:
    """What a device should have run before it was asked."""

    bundle: str
    role: Literal["serve", "challenger"] = "serve"
    share: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Member:
    """A device in a rollout.

    Attributes:
        wave: counted from 0; None while there is no bundle for it.
        note: why, in one line.
        before: None where it had nothing.
        revision: of `Desired` that says so; None until that is known to be recorded.
        asked, committed: when.
    """

    device: str
    profile: str
    wave: int | None = None
    bundle: str | None = None
    state: MemberState = MemberState.WAITING
    note: str = ""
    before: Before | None = None
    revision: int | None = None
    asked: datetime | None = None
    committed: datetime | None = None
    changed: datetime


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A decision that was taken.

    Attributes:
        number: 1 for the first of a rollout, then one more each.
        decision: one of `Decision`, or `resume`, `abort`, `begin`, `finish`.
        wave: that was under way, counted from 0.
        figures: the evidence that it was taken on.
    """

    number: int
    at: datetime
    decision: str
    reason: str
    by: str
    wave: int
    figures: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened in a rollout.

    Attributes:
        number: 1 for the first of a rollout, then one more each.
        kind: a decision, or the new state of a device.
        device: that it is about; None where it is about the rollout.
    """

    number: int
    at: datetime
    kind: str
    text: str
    device: str | None
