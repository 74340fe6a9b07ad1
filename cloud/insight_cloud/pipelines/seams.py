# SPDX-License-Identifier: Apache-2.0
"""What a run needs of other domains, as narrow as it needs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from insight_cloud.pipelines.rules import Alarm, Compared
from insight_cloud.registry.rules import ModelVersion


class Sampling(Protocol):
    """Inputs that devices keep."""

    def ask(
        self,
        bundle: str,
        *,
        most: int,
        each: int,
        since_s: float | None,
        now: datetime,
        tenant: str,
    ) -> int:
        """Ask for samples of a bundle, of inputs since some time, and return for how many."""
        ...


class Labelling(Protocol):
    """What people said about samples."""

    def finished(self, model: str, *, tenant: str) -> int:
        """Return how many inputs of a model have a label."""
        ...

    def export(self, model: str, *, tenant: str) -> bytes:
        """Return all of them as .npz: rows by the name of the input and `labels`, oldest first."""
        ...


class RolloutEnd(StrEnum):
    """How a rollout ended."""

    DONE = "done"
    ROLLED_BACK = "rolled back"
    ABORTED = "aborted"


@dataclass(frozen=True, kw_only=True)
class RolloutSeen:
    """A rollout as a run sees it.

    Attributes:
        end: None while it goes on.
        text: how far it is, or why it ended so.
        progress: 0 to 1, where that can be told.
    """

    end: RolloutEnd | None
    text: str
    progress: float | None


@dataclass(frozen=True)
class Target:
    """What is rolled out, and where to."""

    model: str
    version: int
    deployment: str


class RollingOut(Protocol):
    """Waves over the fleet."""

    def start(
        self, target: Target, *, plan: Mapping[str, Any], by: str, now: datetime, tenant: str
    ) -> str:
        """Return the id of the rollout of a version, started where `by` has not yet."""
        ...

    def seen(self, rollout: str, *, tenant: str) -> RolloutSeen:
        """Return how far a rollout is."""
        ...


@dataclass(frozen=True, kw_only=True)
class TimingSeen:
    """A job that times a bundle as a run sees it.

    Attributes:
        text: how far it is, or how it ended.
        results: a file of results once it is over, empty where there are none; None before.
    """

    text: str
    results: bytes | None = None


class Timing(Protocol):
    """Devices that time a bundle."""

    def able(self, profile: str, *, tenant: str) -> int:
        """Return how many devices of a profile are there to be asked."""
        ...

    def ask(self, bundle: str, *, key: str, by: str, now: datetime, tenant: str) -> str:
        """Ask devices for the latencies of all variants; return the job, one for each key."""
        ...

    def seen(self, job: str, *, tenant: str) -> TimingSeen:
        """Return how far a job is."""
        ...


class Alarming(Protocol):
    """What monitoring says is wrong."""

    def open(self, *, tenant: str) -> tuple[Alarm, ...]:
        """Return the alarms that are open."""
        ...

    def close(self, alarm: str, *, reason: str, by: str, now: datetime, tenant: str) -> None:
        """Close an alarm whose cause is gone; one that is closed already stays so."""
        ...


class Training(Protocol):
    """Trains the next version of a model, once for a run."""

    def __call__(
        self,
        base: ModelVersion,
        *,
        run: str,
        added: bytes,
        holdout: float,
        pulse: Callable[[], None],
    ) -> ModelVersion:
        """Return the version; the one that was trained already where this is repeated."""
        ...


class Comparing(Protocol):
    """Compares two versions of a model on the same rows."""

    def __call__(self, model: str, old: int, new: int, *, pulse: Callable[[], None]) -> Compared:
        """Return how both do on the old world and on the new one."""
        ...
