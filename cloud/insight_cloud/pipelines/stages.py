# SPDX-License-Identifier: Apache-2.0
"""The stages of a retraining, each of which finds what it did before a crash.

A stage calls the services of other domains and says in a sentence what came of it. In
which order they come is in `retraining`.
"""

from dataclasses import dataclass
from typing import Any

from insight_cloud.builds.compiling import Wishes
from insight_cloud.builds.rules import Build, BuildState
from insight_cloud.builds.service import Builds
from insight_cloud.devices.service import Devices
from insight_cloud.pipelines.fleet import Deployed, deployed
from insight_cloud.pipelines.rules import RunState, judge
from insight_cloud.pipelines.seams import (
    Alarming,
    Comparing,
    Labelling,
    RollingOut,
    RolloutEnd,
    Sampling,
    Target,
    Timing,
    Training,
)
from insight_cloud.pipelines.staging import Done, Ended, Looked, Staging
from insight_cloud.pipelines.timing import TimingStage
from insight_cloud.platform.blobs import Blobs
from insight_cloud.registry.rules import ModelVersion
from insight_cloud.registry.service import Registry
from insight_cloud.releases.rules import State
from insight_cloud.releases.service import Releases

PRODUCTION = "production"
"""The alias of the version that the fleet runs."""


@dataclass(frozen=True, kw_only=True)
class Domains:
    """What the stages call."""

    blobs: Blobs
    devices: Devices
    registry: Registry
    releases: Releases
    builds: Builds
    training: Training
    comparing: Comparing
    sampling: Sampling
    labelling: Labelling
    timing: Timing
    rolling_out: RollingOut
    alarming: Alarming


class Stages:
    """The stages of one run."""

    def __init__(self, domains: Domains, staging: Staging, tenant: str) -> None:
        self._domains = domains
        self._staging = staging
        self._run = staging.run
        self._policy = staging.run.policy
        self._model = staging.run.model
        self._tenant = tenant
        self._by = f"pipeline {staging.run.model} {staging.run.number}"
        self._timing = TimingStage(
            builds=domains.builds,
            releases=domains.releases,
            timing=domains.timing,
            staging=staging,
            by=self._by,
            tenant=tenant,
            within_s=staging.run.policy.timing_within_s,
        )

    def survey(self) -> Done | Ended:
        """Find where the model runs, and from which version the new one starts."""
        where = self._deployed()
        if not where.devices:
            reason = f"no device runs '{self._model}' as '{self._policy.deployment}'"
            return Ended(state=RunState.STOPPED, reason=reason)
        base = self._base(where)
        text = f"{where.devices} devices of {', '.join(where.profiles)} run it; from {base.label}"
        return Done(text=text, found={"base": base.number, "profiles": list(where.profiles)})

    def label(self) -> Done | Ended:
        """Ask for samples, wait until enough are labelled anew, and keep all labelled rows."""
        used = self._staging.recording.labels_used(self._model)
        within_s = self._policy.labels_within_s
        return self._staging.wait("label", lambda: self._look_at_labels(used), within_s=within_s)

    def train(self, base: int, rows: str) -> Done | Ended:
        """Train the next version, as its base was, with the labelled rows after the others."""
        version = self._domains.training(
            self._domains.registry.version(self._model, base),
            run=self._run.id,
            added=self._domains.blobs.get(rows),
            holdout=self._policy.holdout,
            pulse=self._staging.pulse,
        )
        self._staging.recording.keep(self._run.id, {}, version.number)
        figures = ", ".join(
            f"{name} {value:.3f}"
            for name, value in version.metrics.items()
            if not name.endswith(("_low", "_high"))
        )
        return Done(text=f"{version.label}: {figures}", found={"version": version.number})

    def evaluate(self, base: int, version: int) -> Done | Ended:
        """Compare the new version with its base, and decide."""
        compared = self._domains.comparing(self._model, base, version, pulse=self._staging.pulse)
        verdict = judge(compared, self._policy)
        if not verdict.ship:
            return Ended(state=RunState.STOPPED, reason=f"{self._model}:{version} {verdict.reason}")
        return Done(text=verdict.reason)

    def compile(self, version: int, profile: str) -> Done | Ended:
        """Compile the new version for one profile, with contenders where devices can time them."""
        build = self._domains.builds.compile(
            self._model,
            version,
            profile,
            clock=self._staging.clock,
            by=self._by,
            wishes=Wishes(
                max_drop_pp=self._policy.max_drop_pp,
                targets=self._policy.targets,
                contenders=self._timing.wanted(profile),
            ),
            pulse=self._staging.pulse,
            tenant=self._tenant,
        )
        if build.state is not BuildState.DONE or build.bundle is None:
            return Ended(state=RunState.FAILED, reason=f"{profile}: {build.reason}")
        return Done(text=_compiled(build), found={"bundle": build.bundle})

    def time(self, name: str, profile: str, bundle: str) -> Done | Ended:
        """Let devices of a profile time what was compiled for it, and choose by that."""
        return self._timing.settled(name, profile, bundle)

    def publish(self, bundles: list[str]) -> Done | Ended:
        """Offer the bundles, or let them wait for a person."""
        states = []
        for build in self._domains.builds.builds(self._model, tenant=self._tenant):
            if build.bundle in bundles:
                path = self._domains.builds.bundle_path(build)
                made = self._domains.releases.publish(path, now=self._staging.clock(), by=self._by)
                states.append(f"{build.profile} {made.state.value}")
        if len(states) < len(bundles):
            reason = f"{len(bundles) - len(states)} bundles are not among the builds any more"
            return Ended(state=RunState.FAILED, reason=reason)
        return Done(text=", ".join(sorted(states)))

    def approve(self, bundles: list[str]) -> Done | Ended:
        """Wait until every bundle is listed."""
        within_s = self._policy.approval_within_s
        return self._staging.wait(
            "approve", lambda: self._look_at_releases(bundles), within_s=within_s
        )

    def roll_out(self, version: int) -> Done | Ended:
        """Start the rollout, or find the one that was started."""
        rollout = self._domains.rolling_out.start(
            Target(self._model, version, self._policy.deployment),
            plan=self._policy.plan,
            by=self._by,
            now=self._staging.clock(),
            tenant=self._tenant,
        )
        self._staging.recording.keep(self._run.id, {"rollout": rollout})
        return Done(text=f"rollout {rollout} has begun", found={"rollout": rollout})

    def watch(self, rollout: str) -> Done | Ended:
        """Wait for the end of the rollout."""
        within_s = self._policy.rollout_within_s
        return self._staging.wait(
            "watch", lambda: self._look_at_rollout(rollout), within_s=within_s
        )

    def promote(self, version: int) -> Done | Ended:
        """Give the new version the alias, and close what it was retrained for."""
        now = self._staging.clock()
        self._domains.registry.assign_alias(self._model, PRODUCTION, version, now=now, by=self._by)
        reason = f"{self._model}:{version} was rolled out"
        closed = [
            alarm
            for alarm in self._domains.alarming.open(tenant=self._tenant)
            if alarm.model == self._model and alarm.opened <= now
        ]
        for alarm in closed:
            self._domains.alarming.close(
                alarm.id, reason=reason, by=self._by, now=now, tenant=self._tenant
            )
        return Done(text=f"{self._model}:{version} is '{PRODUCTION}'; {len(closed)} alarms closed")

    def _deployed(self) -> Deployed:
        return deployed(
            self._domains.devices,
            self._domains.releases,
            self._model,
            self._policy.deployment,
            tenant=self._tenant,
        )

    def _base(self, where: Deployed) -> ModelVersion:
        """Return the version in production; where none is called so, that of most devices."""
        aliases = self._domains.registry.aliases(self._model)
        most = max(where.versions, key=lambda number: (where.versions[number], number))
        return self._domains.registry.version(self._model, aliases.get(PRODUCTION, most))

    def _look_at_labels(self, used: int) -> Looked:
        finished = self._domains.labelling.finished(self._model, tenant=self._tenant)
        new, wanted = max(0, finished - used), self._policy.labels
        if new >= wanted:
            return Looked(text="", outcome=self._labelled(finished, new))
        asked = self._asked()
        text = f"{new} of {wanted} new labels; {asked} of {self._policy.samples} samples asked for"
        return Looked(text=text, progress=new / wanted)

    def _asked(self) -> int:
        """Ask for what is still wanted, as devices offer it, and return how many were asked for.

        Of a drifted model, only for inputs since it drifted: the others are of a world that the
        model knows, and people's time is dear.
        """
        recording, run = self._staging.recording, self._run.id
        before = int(recording.run(run).facts.get("asked", 0))
        asked = before
        for bundle in sorted(self._deployed().bundles) if asked < self._policy.samples else ():
            asked += self._domains.sampling.ask(
                bundle,
                most=self._policy.samples - asked,
                each=self._policy.samples_each,
                since_s=self._drifted_s(),
                now=self._staging.clock(),
                tenant=self._tenant,
            )
        if asked > before:
            recording.keep(run, {"asked": asked})
        return asked

    def _drifted_s(self) -> float | None:
        """Return since when the model is in alarm, None where it is not."""
        alarms = self._domains.alarming.open(tenant=self._tenant)
        return min((a.since_s for a in alarms if a.model == self._model), default=None)

    def _labelled(self, finished: int, new: int) -> Done:
        data = self._domains.labelling.export(self._model, tenant=self._tenant)
        rows = self._domains.blobs.put(data)
        self._staging.recording.keep(self._run.id, {"labels": finished, "rows": rows})
        return Done(text=f"{finished} labelled rows, {new} of them new", found={"rows": rows})

    def _look_at_releases(self, bundles: list[str]) -> Looked:
        states = [self._domains.releases.release(bundle).state for bundle in bundles]
        if State.REVOKED in states:
            reason = "a bundle was revoked before it was rolled out"
            return Looked(text="", outcome=Ended(state=RunState.STOPPED, reason=reason))
        listed = states.count(State.LISTED)
        if listed == len(states):
            return Looked(text="", outcome=Done(text=f"all {listed} bundles are listed"))
        self._staging.recording.wait_for_approval(self._run.id)
        text = f"{listed} of {len(states)} bundles are approved"
        return Looked(text=text, progress=listed / len(states))

    def _look_at_rollout(self, rollout: str) -> Looked:
        seen = self._domains.rolling_out.seen(rollout, tenant=self._tenant)
        if seen.end is None:
            return Looked(text=seen.text, progress=seen.progress)
        if seen.end is RolloutEnd.DONE:
            return Looked(text="", outcome=Done(text=seen.text))
        state = RunState.ROLLED_BACK
        if seen.end is RolloutEnd.ABORTED:
            state = RunState.STOPPED
        return Looked(text="", outcome=Ended(state=state, reason=seen.text))


def _compiled(build: Build) -> str:
    chosen: list[Any] = [trial for trial in build.trials if trial.chosen]
    won = ", ".join(
        trial.target + ("" if trial.p50_ms is None else f" {trial.p50_ms:.3g} ms")
        for trial in chosen
    )
    return f"{won or 'a bundle'}, of {len(build.trials)} targets"
