# SPDX-License-Identifier: Apache-2.0
"""When a job is done, when it is not, and what becomes of it then (rules J1 to J6).

Pure decisions over values; nothing here reads a clock, a disk or the machine.
"""

from collections.abc import Collection, Mapping
from typing import Final, Literal, NamedTuple

from insight_edge.documents.device import Phase
from insight_edge.documents.job import MAX_JOBS, Job
from insight_edge.errors import (
    DeniedError,
    ExpiredError,
    FleetError,
    GoneError,
    InsightEdgeError,
    LimitExceededError,
    MeasurementError,
    RolledBackError,
    StoppedError,
)

MAX_ATTEMPTS: Final = 3
MAX_REMEMBERED: Final = 4096
"""Ids of what was done and has not expired; a new job is refused rather than one forgotten."""

IDLE_SHARE: Final = 0.25
"""Of the processors; a load over it is more than little to do."""

Status = Literal["refused", "failed", "expired", "withdrawn"]


class Over(NamedTuple):
    """A job that is over without results."""

    status: Status
    error: InsightEdgeError


Arrival = Literal["keep", "ignore"] | Over


def on_arrival(
    job: Job, *, kept: Collection[str], remembered: Collection[str], refused: bool, now_s: float
) -> Arrival:
    """Return what becomes of a job that is believed, perhaps not for the first time.

    Args:
        job: as it came.
        kept: ids of those that are still to be done, or under way.
        remembered: ids of those that are over.
        refused: the device's owner lets no job be done.
        now_s: seconds since the epoch.
    """
    if job.id in remembered or (job.id in kept and not job.withdrawn):
        return "ignore"
    if job.withdrawn:
        # Unheard of and expired, it can only be an old message that comes once more.
        return "ignore" if job.id not in kept and job.expires_s < now_s else _WITHDRAWN
    if refused:
        return _REFUSED
    for there, most, are in ((kept, MAX_JOBS, "wait"), (remembered, MAX_REMEMBERED, "are known")):
        if len(there) >= most:
            return Over("refused", LimitExceededError(f"{len(there)} jobs {are} here already"))
    return "keep"


def over_untried(job: Job, attempts: int, *, refused: bool, now_s: float) -> Over | None:
    """Return how a job that waits is over without being begun once more, if it is.

    Args:
        job: that waits.
        attempts: times that it was begun and the agent did not live to see its end.
        refused: the device's owner lets no job be done.
        now_s: seconds since the epoch.
    """
    if refused:
        return _REFUSED
    if attempts >= MAX_ATTEMPTS:
        words = f"the agent was ended while it was under way, {attempts} times"
        return Over("failed", MeasurementError(words))
    if job.expires_s < now_s:
        return Over("expired", ExpiredError("it could not be begun before it expired"))
    return None


def under_way(phase: Phase, *, attached: bool) -> Phase:
    """Return the phase of an update, `idle` where it only waits for an application to attach."""
    return phase if attached or phase in {"fetching", "staging"} else "idle"


def in_the_way(deployments: Mapping[str, Phase], *, held: bool) -> str | None:
    """Return why no job may be under way now, in words that stay the same while that is so.

    Args:
        deployments: the phase of each update, as `under_way` says it.
        held: the device's owner has stopped updates, and jobs with them.
    """
    if held:
        return "the device is held"
    for name, phase in sorted(deployments.items()):
        if phase != "idle":
            return f"{name} is being updated ({phase})"
    return None


def may_begin(
    job: Job,
    deployments: Mapping[str, Phase],
    *,
    held: bool,
    load: float,
    cores: int,
    now_s: float,
) -> str | None:
    """Return why a job may not begin now, or None where it may.

    Args:
        job: that waits.
        deployments: the phase of each update.
        held: the device's owner has stopped updates, and jobs with them.
        load: processes that wanted a processor in the last minute, on average.
        cores: processors that there are.
        now_s: seconds since the epoch.
    """
    if job.expires_s < now_s:
        return "it has expired"
    reason = in_the_way(deployments, held=held)
    if reason is None and job.when == "idle" and load > IDLE_SHARE * cores:
        return "the processors are busy"
    return reason


def on_error(error: InsightEdgeError, *, measuring: bool) -> Over | None:
    """Return how a job is over that met an error, or None where it is tried again later.

    Args:
        error: what it met.
        measuring: its bundle was here, and timed.
    """
    if isinstance(error, StoppedError):
        return None
    if measuring or isinstance(error, GoneError | DeniedError):
        return Over("failed", error)
    if isinstance(error, FleetError | ExpiredError | RolledBackError):
        return None  # the way to the cloud, a cache on it, or the clock may be mended
    return Over("refused", error)


_WITHDRAWN: Final = Over("withdrawn", StoppedError("the cloud has withdrawn it"))
_REFUSED: Final = Over("refused", FleetError("the owner of this device lets no jobs be done"))
