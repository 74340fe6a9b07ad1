# SPDX-License-Identifier: Apache-2.0
"""What a compilation writes down: the trial of each target, the evidence, the provenance.

It decides nothing: what is chosen comes from `compile.choose`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from insight_edge.compile.building.location import Site
from insight_edge.compile.building.outcome import BuildOutcome
from insight_edge.compile.provenance import processor_of, provenance_of
from insight_edge.compile.quantize.calibration import Calibration
from insight_edge.compile.remote.announcement import Announcement
from insight_edge.compile.reproduce import Reproduce
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.targets.plan import Planned
from insight_edge.compile.trials.examine import Finding
from insight_edge.compile.trials.package import Part
from insight_edge.compile.trials.repair import Mended
from insight_edge.compile.trials.trial import make_trial
from insight_edge.documents.evidence import Evidence, Trial
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import Provenance
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target

Findings = Mapping[str, Finding]
"""By token of the target."""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The ledger of one compilation.

    Attributes:
        facts: of this machine.
        command: that compiles again.
        created: when it began, ISO 8601.
        builder: the other machine that builds, where there is one.
    """

    source: SourceModel
    profile: HardwareProfile
    facts: Facts
    command: Reproduce
    created: str
    builder: Announcement | None = None

    def trial(
        self, planned: Planned, outcome: BuildOutcome | None, finding: Finding | None
    ) -> Trial:
        """Return what became of a planned target."""
        # Asked for by name, what was held back would be built.
        held = planned.held is not None and outcome is None
        reproduce = self.command.whole() if held else self.command.trial(planned.target)
        trial = make_trial(planned, outcome, finding, reproduce)
        return self._built_there(trial) if planned.elsewhere else trial

    def mended(self, one: Mended, finding: Finding | None, *, elsewhere: bool) -> Trial:
        """Return what became of a repair; the command of what was repaired does it again."""
        plain = Target(backend=one.target.backend, precision=one.target.precision)
        reproduce = self.command.trial(plain)
        trial = make_trial(Planned(target=one.target), one.outcome, finding, reproduce)
        return self._built_there(trial) if elsewhere else trial

    def evidence(self, trials: Sequence[Trial], findings: Findings) -> Evidence:
        """Return what is known about the trials."""
        return Evidence(
            model_digest=self.source.digest,
            profile=self.profile.id,
            measured_on=self.facts,
            environment={
                finding.part.target.backend: finding.packages
                for finding in findings.values()
                if finding.packages
            },
            trials=tuple(trials),
            created=self.created,
            workload=self.source.workload,
        )

    def provenance(
        self, parts: Sequence[Part], sites: Mapping[str, Site], calibration: Calibration | None
    ) -> Provenance:
        """Return how the artifacts that are shipped came to be.

        Args:
            parts: of the bundle.
            sites: where builds ran, by token of the backend.
            calibration: the rows that builds had, if any.
        """
        used = {part.target.backend: sites[part.target.backend] for part in parts}
        found = provenance_of(self.command.model, self.source, used, calibration, self.facts)
        reproduce = self.command.whole()
        return msgspec.structs.replace(found, reproduce=reproduce, created=self.created)

    def _built_there(self, trial: Trial) -> Trial:
        if self.builder is None or trial.build_s is None:
            return trial
        return msgspec.structs.replace(trial, built_on=processor_of(self.builder.facts))
