# SPDX-License-Identifier: Apache-2.0
"""How a compilation is done, and what comes out of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from insight_edge.bench.verdict import MIN_ROUNDS
from insight_edge.compile.building.misses import Lookup
from insight_edge.compile.building.outcome import BuildLimits
from insight_edge.documents.evidence import Evidence
from insight_edge.documents.target import Target
from insight_edge.errors import ConfigurationError

DEFAULT_MAX_DROP_PP = 1.0
"""Budget where neither the caller nor the profile names one."""

MEASURED_DROP_PP = 0.5
"""What may be lost as measured, where the caller does not say what may be lost."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a compilation is done.

    Attributes:
        only: the targets to try; all that the profile has when empty.
        max_drop_pp: percentage points of the task metric that may be lost; the profile's own
            limit, or 1, for None.
        accept_unproven: ship what could not be proven.
        threads: of the engine; as many as the profile has processors for None.
        rounds: of the measurement.
        jobs: builds at once, at most; as many as processors and memory allow for None.
        cache: where builds are kept; a temporary place for None.
        limits: of each build.
        trust_pickle: code in the model's file may run.
        transforms: TOML file that declares the steps around a bare model.
        fuse: put the last steps before the model into its graph, where that makes the same of it.
        tuning_s: spent by every target that can be tuned, on looking for faster code.
        repair_s: spent on repairing INT8 that fails its proof; 0 for no repair.
        keep: new or empty directory in which all that is made on the way stays; everything is
            then built anew. None for nowhere.
        builder: folder of a machine that builds what cannot be built here
            (`compile.remote.builder`).
        contenders: whatever is proven goes along, for a device to time it; and what is only
            predicted to be slower is built too.
        explain: told for every target, by its token, whether a kept build is taken, and why not;
            called from several threads.

    Raises:
        ConfigurationError: a number that cannot be meant.
    """

    only: tuple[Target, ...] = ()
    max_drop_pp: float | None = None
    accept_unproven: bool = False
    threads: int | None = None
    rounds: int = 15
    jobs: int | None = None
    cache: Path | None = None
    limits: BuildLimits | None = None
    trust_pickle: bool = False
    transforms: Path | None = None
    fuse: bool = False
    repair_s: float = 180.0
    tuning_s: float = 0.0
    keep: Path | None = None
    builder: Path | None = None
    contenders: bool = False
    explain: Callable[[str, Lookup], None] | None = None

    def __post_init__(self) -> None:
        least = {
            "threads": (self.threads, 1),
            "rounds": (self.rounds, MIN_ROUNDS),
            "jobs": (self.jobs, 1),
        }
        for name, (count, wanted) in least.items():
            if count is not None and count < wanted:
                raise ConfigurationError(f"{name} is {count}, at least {wanted} is needed")
        if not 0 <= self.tuning_s < float("inf"):
            raise ConfigurationError(f"nothing can be tuned for {self.tuning_s:g} s")
        if not self.repair_s >= 0:
            raise ConfigurationError(f"{self.repair_s:g} s cannot be spent on a repair")
        if self.max_drop_pp is not None and not 0 <= self.max_drop_pp <= 100:
            raise ConfigurationError(
                f"a drop of {self.max_drop_pp:g} percentage points cannot be allowed",
                hint="name one from 0 to 100",
            )


@dataclass(frozen=True, kw_only=True)
class Compilation:
    """What came out.

    Attributes:
        bundle: its directory.
        digest: of its manifest.
        evidence: every trial, with its reason.
    """

    bundle: Path
    digest: str
    evidence: Evidence
