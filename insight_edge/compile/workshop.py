# SPDX-License-Identifier: Apache-2.0
"""The builds of one compilation: where each backend builds, from which rows, and repairs.

What is worth building is decided by `compile.targets.plan`; what becomes of an artifact
is not known here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from insight_edge.compile.building.location import Site
from insight_edge.compile.building.outcome import BuildLimits, BuildOutcome
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.builds import Outcomes, build_all, sites_here
from insight_edge.compile.progress import Watch
from insight_edge.compile.quantize.calibration import Calibration, write_calibration
from insight_edge.compile.remote.announcement import Announcement
from insight_edge.compile.remote.spool import Spool
from insight_edge.compile.rows.samples import Samples
from insight_edge.compile.settings import Settings
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.targets.plan import Planned, needs_rows
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.compile.trials.repair import Repair
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target


def sites_of(
    planned: Sequence[Planned], folder: Path | None, builder: Announcement | None
) -> dict[str, Site]:
    """Return where the builds of each planned backend run: here, or at the builder of a folder."""
    found = sites_here({p.target.backend for p in planned if not p.elsewhere})
    if folder is None or builder is None:
        return found
    there = sorted({p.target.backend for p in planned if p.elsewhere})
    asked = {token: builder.toolchain(token) for token in there}
    return found | {
        token: Site(toolchain=toolchain, location=Spool(folder=folder))
        for token, toolchain in asked.items()
        if isinstance(toolchain, Toolchain)
    }


@dataclass(kw_only=True)
class Workshop:
    """Builds targets of one model for one profile.

    Attributes:
        place: directory to work in.
        sites: where builds run, by token of the backend.
        calibration: rows that builds have; None until some need them.
    """

    source: SourceModel
    profile: HardwareProfile
    settings: Settings
    place: Path
    sites: Mapping[str, Site]
    tell: Callable[[str], None]
    watch: Watch
    calibration: Calibration | None = field(default=None, init=False)

    def build(self, planned: Sequence[Planned], rows: Samples | None) -> Outcomes:
        """Return what became of each target, by token.

        Raises:
            TensorMismatchError: the rows do not become inputs of the model.
            StorageError: the disk is full or cannot be written.
        """
        if rows is not None and any(needs_rows(p.target) for p in planned):
            self.calibration = write_calibration(self.source, rows.calibration(), self.place)
        return self._build([p.target for p in planned], self.settings)

    def repair(self, outcomes: Outcomes) -> Repair:
        """Return what repairs INT8 that fails its proof, where all was built within its time."""

        def build(target: Target, seconds: float) -> BuildOutcome:
            limits = self.settings.limits or BuildLimits()
            limits = replace(limits, wall_s=min(limits.wall_s, seconds))
            return self._build([target], replace(self.settings, limits=limits))[target.token]

        budget_s = self.settings.repair_s if outcomes else 0.0
        return Repair(build=build, budget_s=budget_s, tell=self.tell)

    def elsewhere(self, backend: str) -> bool:
        """Return whether the builds of a backend run on another machine."""
        return backend in self.sites and self.sites[backend].location is not None

    def _build(self, targets: Sequence[Target], settings: Settings) -> Outcomes:
        jobs = [
            prepare_job(self.source, target, self.profile, self.place, calibration=self.calibration)
            for target in targets
        ]
        cache = settings.cache or self.place / "cache"
        return build_all(jobs, cache, settings, self.tell, self.watch, self.sites)
