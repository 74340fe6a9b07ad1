# SPDX-License-Identifier: Apache-2.0
"""The stage in which devices time what was compiled on another kind of machine.

What was predicted of a bundle, or is but a bound, is overturned by devices of its
profile where there are some. Where they cannot be asked, say nothing in time, or time
nothing of use, the bundle stays as it is and the stage says why: a fleet is not kept
waiting for a measurement.
"""

from dataclasses import dataclass

from insight_cloud.builds.rules import Build, BuildState
from insight_cloud.builds.service import Builds
from insight_cloud.pipelines.seams import Timing
from insight_cloud.pipelines.staging import Done, Ended, Looked, Staging
from insight_cloud.releases.rules import State
from insight_cloud.releases.service import Releases
from insight_edge.documents.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class TimingStage:
    """The stage of one run.

    Attributes:
        by: who asks for it, as the audit trail names the run.
        within_s: that devices may take; 0 to ask none.
    """

    builds: Builds
    releases: Releases
    timing: Timing
    staging: Staging
    by: str
    tenant: str
    within_s: float

    def wanted(self, profile: str) -> bool:
        """Return whether a device of a profile could be asked now."""
        return self.within_s > 0 and self.timing.able(profile, tenant=self.tenant) > 0

    def settled(self, name: str, profile: str, bundle: str) -> Done:
        """Have a bundle timed, and return the one that is shipped.

        Args:
            name: of the stage.
            profile: id of the hardware profile.
            bundle: digest of what was compiled.
        """
        build = self.builds.build_of(bundle, tenant=self.tenant)
        why_not = self._why_not(build, profile)
        if why_not is not None:
            return Done(text=why_not, found={"bundle": bundle})
        key = f"{self.staging.run.id} {profile}"
        job = self.timing.ask(
            bundle, key=key, by=self.by, now=self.staging.clock(), tenant=self.tenant
        )
        waited = self.staging.wait(name, lambda: self._look(job, build), within_s=self.within_s)
        if isinstance(waited, Ended):
            return Done(text=f"{waited.reason}; as compiled", found={"bundle": bundle})
        return waited

    def _why_not(self, build: Build, profile: str) -> str | None:
        """Return why a bundle is shipped as it was compiled, None where a device is asked."""
        opened = self.builds.bundle(build)
        doubt = _doubt(opened.evidence())
        if doubt is None:
            return "measured where it was compiled"
        if len(opened.manifest.variants) < 2:
            return f"{doubt}, and there is nothing to choose from"
        if not self.wanted(profile):
            return f"{doubt}: no device of {profile} can be asked"
        release = self.releases.publish(
            self.builds.bundle_path(build), now=self.staging.clock(), by=self.by
        )
        if release.state is not State.LISTED:
            return f"{doubt}: it is {release.state.value}, and devices time only what is listed"
        return None

    def _look(self, job: str, build: Build) -> Looked:
        seen = self.timing.seen(job, tenant=self.tenant)
        if seen.results is None:
            return Looked(text=f"job {job}: {seen.text}")
        if not seen.results:
            text = f"job {job}: {seen.text}; as compiled"
            return Looked(text="", outcome=Done(text=text, found={"bundle": build.bundle}))
        return Looked(text="", outcome=self._chosen(build, seen.results))

    def _chosen(self, build: Build, results: bytes) -> Done:
        settled = self.builds.settle(
            build, results, clock=self.staging.clock, pulse=self.staging.pulse, tenant=self.tenant
        )
        if settled.state is not BuildState.DONE or settled.bundle is None:
            text = f"{settled.reason}; as compiled"
            return Done(text=text, found={"bundle": build.bundle})
        evidence = self.builds.bundle(settled).evidence()
        won = next(trial for trial in settled.trials if trial.chosen)
        took = "" if won.p50_ms is None else f" {won.p50_ms:.3g} ms"
        text = f"{won.target}{took} on {evidence.measured_by}"
        return Done(text=text, found={"bundle": settled.bundle})


def _doubt(evidence: Evidence) -> str | None:
    """Return what is not known of the latency of what was chosen, None where it was measured."""
    chosen = [trial for trial in evidence.trials if trial.chosen]
    if any(trial.measurement is None for trial in chosen):
        return "predicted"
    if any(trial.measurement and trial.measurement.kind == "bound" for trial in chosen):
        return "measured on a better machine"
    return None
