# SPDX-License-Identifier: Apache-2.0
"""From an alarm to a retrained fleet: the stages in their order, as a durable workflow.

survey, label, train, evaluate, compile and time for each profile, publish, approve, roll
out, watch, promote. Their order and names are a contract with runs under way: whoever changes
them changes `platform.workflows.VERSION`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from insight_cloud.pipelines.recording import Recording
from insight_cloud.pipelines.rules import RunState
from insight_cloud.pipelines.stages import Domains, Stages
from insight_cloud.pipelines.staging import Clock, Done, Ended, Staging
from insight_cloud.platform.database import Database
from insight_cloud.platform.workflows import Step

LOOK_S: Final = 2.0


class Retraining:
    """The body of every run.

    Args:
        database: where runs are recorded.
        domains: that the stages call.
        clock: says when.
        stopping: whether the process ends.
        look_s: how often something that is waited for is looked at.
    """

    def __init__(
        self,
        database: Database,
        domains: Domains,
        *,
        clock: Clock,
        stopping: Callable[[], bool],
        look_s: float = LOOK_S,
    ) -> None:
        self._database = database
        self._domains = domains
        self._clock = clock
        self._stopping = stopping
        self._look_s = look_s

    def recording(self, tenant: str) -> Recording:
        """Return where the runs of a tenant are written down."""
        return Recording(self._database, tenant)

    def __call__(self, workflow: str, step: Step) -> str:
        """Do a run, or go on with it, and return how it ended.

        Raises:
            Stopped: the process ends; another goes on.
        """
        tenant, _, run = workflow.partition("/")
        recording = self.recording(tenant)
        staging = Staging(
            recording,
            recording.run(run),
            clock=self._clock,
            stopping=self._stopping,
            look_s=self._look_s,
        )
        order = _Order(step, staging, Stages(self._domains, staging, tenant))
        try:
            ended = order.go()
        except _EndError as end:
            ended = end.ended
        step("end", lambda: recording.finish(run, ended.state, ended.reason, self._clock()))
        return ended.state.value


class _EndError(Exception):
    """A stage ended the run."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.reason)
        self.ended = ended


class _Order:
    """The order of one run's stages."""

    def __init__(self, step: Step, staging: Staging, stages: Stages) -> None:
        self._step = step
        self._staging = staging
        self._stages = stages

    def go(self) -> Ended:
        """Do one stage after another.

        Raises:
            _EndError: one ended the run.
        """
        stages = self._stages
        survey = self._do("survey", "looking where the model runs", stages.survey)
        label = self._do("label", "asking for samples", stages.label)
        base, rows = int(survey["base"]), str(label["rows"])
        trained = self._do("train", "training", lambda: stages.train(base, rows))
        version = int(trained["version"])
        self._do("evaluate", "comparing both versions", lambda: stages.evaluate(base, version))
        bundles = [self._compiled(version, profile) for profile in survey["profiles"]]
        self._do("publish", "publishing", lambda: stages.publish(bundles))
        self._do("approve", "looking whether all are listed", lambda: stages.approve(bundles))
        begun = self._do("roll out", "starting the rollout", lambda: stages.roll_out(version))
        rollout = str(begun["rollout"])
        self._do("watch", "rolling out", lambda: stages.watch(rollout))
        self._do("promote", "promoting", lambda: stages.promote(version))
        reason = f"{self._staging.run.model}:{version} was rolled out"
        return Ended(state=RunState.PROMOTED, reason=reason)

    def _compiled(self, version: int, profile: str) -> str:
        compile_it = partial(self._stages.compile, version, profile)
        bundle = str(self._do(f"compile {profile}", "compiling", compile_it)["bundle"])
        name = f"time {profile}"
        time_it = partial(self._stages.time, name, profile, bundle)
        return str(self._do(name, "asking devices for latencies", time_it)["bundle"])

    def _do(self, name: str, text: str, stage: Callable[[], Done | Ended]) -> dict[str, Any]:
        found: dict[str, Any] = self._step(name, lambda: self._staging.do(name, text, stage))
        if "ended" in found:
            raise _EndError(Ended(state=RunState(found["ended"]), reason=found["reason"]))
        return found
