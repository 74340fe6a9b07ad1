# SPDX-License-Identifier: Apache-2.0
"""Open a run where an alarm asks for one, and host the runs that there are.

The workflow engine is loaded when there is a run for the first time. Of several workers
one hosts them; when it ends, however it does, another takes them up at its next turn.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from insight_cloud.installation import Installation
from insight_cloud.pipelines.comparing import ComparingChild
from insight_cloud.pipelines.fleet import deployed
from insight_cloud.pipelines.neighbours import (
    DeviceSamples,
    FleetJobs,
    FleetRollouts,
    MonitoringAlarms,
    PeoplesLabels,
)
from insight_cloud.pipelines.retraining import LOOK_S, Retraining
from insight_cloud.pipelines.rules import Alarm, Run, RunState, should_open
from insight_cloud.pipelines.service import Pipelines
from insight_cloud.pipelines.stages import Domains
from insight_cloud.pipelines.training_child import TrainingChild
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError
from insight_cloud.platform.schema import TENANT
from insight_cloud.platform.workflows import BusyError, Progress, Workflows, hosted

WORKER = "worker"

_log = logging.getLogger(__name__)


class Pipelining:
    """The worker's part in pipelines; to be closed.

    Args:
        database: where runs are recorded.
        pipelines: over it.
        domains: that runs call.
        file: of the workflows.
        clock: says when.
        look_s: how often a run looks at what it waits for.
    """

    def __init__(
        self,
        database: Database,
        pipelines: Pipelines,
        domains: Domains,
        file: Path,
        clock: Callable[[], datetime],
        *,
        look_s: float = LOOK_S,
    ) -> None:
        self._pipelines = pipelines
        self._domains = domains
        self._file = file
        self._clock = clock
        self._stop = threading.Event()
        self._stack = ExitStack()
        self._workflows: Workflows | None = None
        self._body = Retraining(
            database, domains, clock=clock, stopping=self._stop.is_set, look_s=look_s
        )

    def run(self) -> None:
        """Open what should be open, begin what is queued, and end what nobody goes on with."""
        self._open_on_alarms()
        active = self._pipelines.runs(active=True)
        if active and self._hosting():
            for run in active:
                self._look_after(run)

    def close(self) -> None:
        """Let steps stop; another worker does them again."""
        self._stop.set()
        self._stack.close()

    def _hosting(self) -> bool:
        if self._workflows is None:
            try:
                self._workflows = self._stack.enter_context(
                    hosted(self._file, self._body, self._stop)
                )
            except BusyError:
                return False
        return True

    def _open_on_alarms(self) -> None:
        automatic = {m: p for m, p in self._pipelines.policies().items() if p.automatic}
        if not automatic:
            return
        alarms = self._domains.alarming.open(tenant=TENANT)
        for model, policy in automatic.items():
            mine = [alarm for alarm in alarms if alarm.model == model]
            if mine:
                found = should_open(
                    mine,
                    self._pipelines.runs(model),
                    policy,
                    self._clock(),
                    deployed=self._bundles(model, policy.deployment),
                )
                if isinstance(found, Alarm):
                    self._open(found)

    def _bundles(self, model: str, deployment: str) -> frozenset[str]:
        devices, releases = self._domains.devices, self._domains.releases
        return deployed(devices, releases, model, deployment, tenant=TENANT).bundles

    def _open(self, alarm: Alarm) -> None:
        try:
            self._pipelines.open(
                alarm.model, because=alarm.sentence, by=WORKER, now=self._clock(), alarm=alarm
            )
        except ConflictError as error:  # a person, or another worker, was faster
            _log.info("%s", error)

    def _look_after(self, run: Run) -> None:
        if self._workflows is None:
            return
        workflow = f"{TENANT}/{run.id}"
        seen = self._workflows.seen(workflow)
        if seen is None:
            self._workflows.start(workflow)
        elif seen.progress is not Progress.RUNNING:
            reason = {
                Progress.STRANDED: "it was begun by a release whose steps were others",
                Progress.CANCELLED: "its workflow was cancelled",
            }.get(seen.progress, "it ended without saying how; the worker's log says more")
            self._body.recording(TENANT).finish(run.id, RunState.FAILED, reason, self._clock())


def pipelining_over(cloud: Installation, clock: Callable[[], datetime]) -> Pipelining:
    """Return the worker's part in the pipelines of an installation."""
    domains = Domains(
        blobs=cloud.blobs,
        devices=cloud.devices,
        registry=cloud.registry,
        releases=cloud.releases,
        builds=cloud.builds,
        training=TrainingChild(cloud.settings, cloud.registry),
        comparing=ComparingChild(cloud.settings),
        sampling=DeviceSamples(cloud.telemetry),
        labelling=PeoplesLabels(cloud.labels),
        timing=FleetJobs(cloud.jobs),
        rolling_out=FleetRollouts(cloud.rollouts),
        alarming=MonitoringAlarms(cloud.monitoring),
    )
    file = cloud.settings.state / "pipelines.sqlite"
    return Pipelining(cloud.database, cloud.pipelines, domains, file, clock)
