# SPDX-License-Identifier: Apache-2.0
"""One of several models: the bundle it is opened from, what it needs, and its runtime while loaded.

Whether there is room for it is not known here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from insight_edge.bundle.need import Need, need_of
from insight_edge.bundle.open import open_manifest
from insight_edge.documents.report import Report
from insight_edge.errors import UnavailableError
from insight_edge.runtime.admission import Resident
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.standing import Standing, State

NOTHING = Need(0, "bound")


@dataclass(kw_only=True)
class Model:
    """A model that was asked for, loaded or not.

    Attributes:
        path: of its bundle.
        turn: grows with every model that was asked for.
        variant: that was asked for by name.
        stated: what it needs, where somebody says so.
        runtime: while it is loaded.
    """

    name: str
    path: Path
    priority: int
    turn: int
    threads: int
    allow_unsigned: bool
    variant: str | None = None
    stated: int | None = None
    state_dir: Path | None = None
    need: Need = NOTHING
    runtime: Runtime | None = None
    state: State = "waiting"
    reason: str = ""
    bundle: str = ""
    served_variant: str = ""

    @property
    def resident(self) -> Resident:
        """What admission knows of it."""
        return Resident(self.name, self.priority, self.need.length_bytes, self.turn)

    @property
    def standing(self) -> Standing:
        """How it stands."""
        return Standing(
            name=self.name,
            state=self.state,
            reason=self.reason,
            priority=self.priority,
            need=self.need,
            threads=self.threads,
            bundle=self.bundle,
            variant=self.served_variant,
        )

    def loaded(self) -> Runtime:
        """Return its runtime.

        Raises:
            UnavailableError: it has none at present.
        """
        runtime = self.runtime
        if runtime is None:
            raise UnavailableError(f"'{self.name}' is not loaded: {self.reason or 'it was closed'}")
        return runtime

    def needs(self, path: Path | None = None) -> list[tuple[str, Need]]:
        """Return what each variant takes that may serve, in the order in which they are tried.

        Args:
            path: of another bundle than its own.

        Raises:
            InputError, TrustError: as `open_manifest`, and of the evidence.
        """
        bundle = open_manifest(path or self.path, allow_unsigned=self.allow_unsigned)
        if self.variant is not None and path is None:
            variants = [bundle.variant(self.variant)]
        else:
            variants = [one for one in bundle.manifest.variants if one.role != "contender"]
        if self.stated is not None and path is None:
            return [(one.name, Need(self.stated, "stated")) for one in variants]
        trials = bundle.evidence().trials
        return [(one.name, need_of(one, trials)) for one in variants]

    def open(self, variant: str) -> None:
        """Load it.

        Raises:
            InsightEdgeError: as `Runtime.open`.
        """
        self.serve(
            Runtime.open(
                self.path,
                allow_unsigned=self.allow_unsigned,
                variant=variant,
                threads=self.threads,
                state_dir=self.state_dir,
                deployment=self.name,
            )
        )

    def serve(self, runtime: Runtime) -> None:
        """Take note of what its runtime serves now."""
        served = runtime.served
        if served is not None:
            self.bundle, self.served_variant = served.bundle, served.variant
        self.state, self.reason, self.runtime = "ready", "", runtime

    def free(self) -> Iterator[Report]:
        """Let its callers finish and free it; yield the reports that are left."""
        runtime, self.runtime = self.runtime, None
        if runtime is not None:
            runtime.close()
            yield from iter(runtime.take_report, None)
