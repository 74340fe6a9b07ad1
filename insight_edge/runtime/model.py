# SPDX-License-Identifier: Apache-2.0
"""One of several models: the bundle it is opened from, what it needs, and its runtime while loaded.

Whether there is room for it is not known here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from insight_edge.bundle.need import Need, need_of
from insight_edge.bundle.open import Bundle, open_manifest
from insight_edge.bundle.slots import Slots
from insight_edge.documents.report import Report
from insight_edge.errors import UnavailableError
from insight_edge.runtime.admission import Resident
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.standing import Standing, State

NOTHING = Need(0, "bound")
"""Of a model that has no bundle yet: an agent will bring one."""


@dataclass(kw_only=True)
class Model:
    """A model that was asked for, loaded or not.

    Attributes:
        path: of its bundle; None where it serves the slots of its state directory.
        turn: grows with every model that was asked for.
        variant: that was asked for by name.
        stated: what it needs, where somebody says so.
        admitting: holds room for another bundle of it beside the one that serves, or refuses it.
        asked: what it needs to be loaded.
        runtime: while it is loaded.
    """

    name: str
    path: Path | None
    priority: int
    turn: int
    threads: int
    allow_unsigned: bool
    admitting: Callable[["Model", Bundle], AbstractContextManager[None]]
    variant: str | None = None
    stated: int | None = None
    state_dir: Path | None = None
    asked: Need = NOTHING
    runtime: Runtime | None = None
    state: State = "waiting"
    reason: str = ""
    _known: dict[tuple[str, str], Need] = field(default_factory=dict)
    _last: tuple[str, str] = ("", "")

    @property
    def served(self) -> tuple[str, str]:
        """Digest and variant that serve, or did."""
        served = None if self.runtime is None else self.runtime.served
        if served is not None:
            self._last = served.bundle, served.variant
        return self._last

    @property
    def need(self) -> Need:
        """What it takes while it is loaded, or to be loaded; an agent may have swapped it."""
        return self._known.get(self.served, self.asked) if self.runtime else self.asked

    @property
    def resident(self) -> Resident:
        """What admission knows of it."""
        return Resident(self.name, self.priority, self.need.length_bytes, self.turn)

    @property
    def standing(self) -> Standing:
        """How it stands."""
        bundle, variant = self.served
        return Standing(
            name=self.name,
            state=self.state,
            reason=self.reason,
            priority=self.priority,
            need=self.need,
            threads=self.threads,
            bundle=bundle,
            variant=variant,
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

    def needs(self) -> Sequence[tuple[str | None, Need]]:
        """Return what each variant takes that may serve, in the order in which they are tried.

        Raises:
            InputError, TrustError, SlotError: of the bundle, as it is opened.
        """
        if self.path is not None:
            bundle = open_manifest(self.path, allow_unsigned=self.allow_unsigned)
            return list(self.needs_of(bundle, self.variant).items())
        slots = Slots(self.state_dir or Path())
        if slots.committed is None:
            return [(None, NOTHING)]
        bundle = slots.bundle(slots.committed, allow_unsigned=self.allow_unsigned)
        # Which of them is tried is the runtime's to find out; the first is most likely.
        return [(None, next(iter(self.needs_of(bundle).values())))]

    def needs_of(self, bundle: Bundle, variant: str | None = None) -> dict[str, Need]:
        """Return what each variant of a bundle takes that may serve, and remember it.

        Raises:
            DocumentError: the evidence cannot be read.
            ConfigurationError: there is no such variant.
        """
        if variant is not None:
            variants = [bundle.variant(variant)]
        else:
            variants = [one for one in bundle.manifest.variants if one.role != "contender"]
        trials = () if self.stated is not None else bundle.evidence().trials
        stated = None if self.stated is None else Need(self.stated, "stated")
        needs = {one.name: stated or need_of(one, trials) for one in variants}
        serving = {key: need for key, need in self._known.items() if key == self.served}
        self._known = serving | {(bundle.digest, name): need for name, need in needs.items()}
        return needs

    def open(self, variant: str | None) -> None:
        """Load it.

        Raises:
            InsightEdgeError: as `Runtime.open` and `Runtime.attach`.
        """
        if self.path is None:
            self.runtime = Runtime.attach(
                self.state_dir or Path(),
                allow_unsigned=self.allow_unsigned,
                threads=self.threads,
                admitting=partial(self.admitting, self),
            )
        else:
            self.runtime = Runtime.open(
                self.path,
                allow_unsigned=self.allow_unsigned,
                variant=variant,
                threads=self.threads,
                state_dir=self.state_dir,
                deployment=self.name,
                admitting=partial(self.admitting, self),
            )
        self.state, self.reason = "ready", ""

    def free(self) -> Iterator[Report]:
        """Let its callers finish and free it; yield the reports that are left."""
        self.asked, self._last = self.need, self.served
        runtime, self.runtime = self.runtime, None
        if runtime is not None:
            runtime.close()
            yield from iter(runtime.take_report, None)
