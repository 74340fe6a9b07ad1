# SPDX-License-Identifier: Apache-2.0
"""The domains that a run calls, behind its seams."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from insight_cloud.jobs.service import Jobs
from insight_cloud.labels.rules import TaskState
from insight_cloud.labels.service import Labels
from insight_cloud.monitoring.service import MAX_PAGE as MAX_ALARMS
from insight_cloud.monitoring.service import Monitoring
from insight_cloud.pipelines.rollout_plan import plan_of
from insight_cloud.pipelines.rules import Alarm
from insight_cloud.pipelines.seams import RolloutEnd, RolloutSeen, Target, TimingSeen
from insight_cloud.platform.errors import ConflictError
from insight_cloud.rollouts.rollout import State
from insight_cloud.rollouts.service import MAX_PAGE, Rollouts
from insight_cloud.telemetry.service import Telemetry

_ENDS: Final = {
    State.COMPLETED: RolloutEnd.DONE,
    State.ROLLED_BACK: RolloutEnd.ROLLED_BACK,
    State.ABORTED: RolloutEnd.ABORTED,
}


class DeviceSamples:
    """Samples of devices, as telemetry keeps them; a worker's duty gets those uploaded."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

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
        asked = self._telemetry.ask_samples(
            bundle, most=most, each=each, since_s=since_s, now=now, tenant=tenant
        )
        return len(asked)


class PeoplesLabels:
    """What people said about samples."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels

    def finished(self, model: str, *, tenant: str) -> int:
        """Return how many inputs of a model have a label."""
        states = self._labels.counts(model, tenant=tenant).states
        return states.get(TaskState.FINISHED, 0)

    def export(self, model: str, *, tenant: str) -> bytes:
        """Return all of them as .npz, oldest first."""
        return self._labels.export(model, tenant=tenant)


class FleetRollouts:
    """Waves over the fleet; the rollout that a run started is found again by who started it."""

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts

    def start(
        self, target: Target, *, plan: Mapping[str, Any], by: str, now: datetime, tenant: str
    ) -> str:
        """Return the id of the rollout of a version, started where `by` has not yet."""
        for one in self._rollouts.list(limit=MAX_PAGE, tenant=tenant):
            if Target(one.model, one.version, one.deployment) == target and one.by == by:
                return str(one.id)
        made = self._rollouts.start(
            target.model,
            target.version,
            target.deployment,
            by=by,
            now=now,
            plan=plan_of(plan),
            tenant=tenant,
        )
        return str(made.id)

    def seen(self, rollout: str, *, tenant: str) -> RolloutSeen:
        """Return how far a rollout is."""
        found = self._rollouts.get(int(rollout), tenant=tenant)
        return RolloutSeen(
            end=_ENDS.get(found.state),
            text=f"wave {found.wave + 1} of {found.waves}, {found.state.value}: {found.reason}",
            progress=found.wave / found.waves if found.waves else None,
        )


class FleetJobs:
    """Signed jobs to devices."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def able(self, profile: str, *, tenant: str) -> int:
        """Return how many devices of a profile are there to be asked."""
        return len(self._jobs.online_of(profile, tenant=tenant))

    def ask(self, bundle: str, *, key: str, by: str, now: datetime, tenant: str) -> str:
        """Ask devices for the latencies of all variants; return the job, one for each key."""
        return self._jobs.bench(bundle, by=by, now=now, key=key, tenant=tenant).id

    def seen(self, job: str, *, tenant: str) -> TimingSeen:
        """Return how far a job is."""
        found = self._jobs.get(job, tenant=tenant)
        if found.ended is None:
            return TimingSeen(text=found.reason)
        lines = [one.document for one in self._jobs.measured(job, tenant=tenant)]
        return TimingSeen(text=found.reason, results="".join(f"{one}\n" for one in lines).encode())


class MonitoringAlarms:
    """What monitoring says is wrong."""

    def __init__(self, monitoring: Monitoring) -> None:
        self._monitoring = monitoring

    def open(self, *, tenant: str) -> tuple[Alarm, ...]:
        """Return the alarms that are open."""
        return tuple(
            Alarm(
                id=str(one.id),
                model=one.model,
                bundle=one.bundle,
                opened=one.opened,
                since_s=one.since_s,
                sentence=one.sentence,
            )
            for one in self._monitoring.alarms(is_open=True, limit=MAX_ALARMS, tenant=tenant)
        )

    def close(self, alarm: str, *, reason: str, by: str, now: datetime, tenant: str) -> None:
        """Close an alarm whose cause is gone; one that is closed already stays so."""
        with suppress(ConflictError):
            self._monitoring.acknowledge(int(alarm), reason=reason, by=by, now=now, tenant=tenant)
