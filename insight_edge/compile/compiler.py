# SPDX-License-Identifier: Apache-2.0
"""Compile a model for a hardware profile: plan, build, examine, choose, package.

The one door for programs (`compile_model`); the verb `compile` is the same
door. Each step is a module of its own, and each target's fate is a trial. It
writes the bundle or nothing.
"""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from insight_edge.bench.machine import machine_facts
from insight_edge.bundle.open import open_manifest
from insight_edge.compile.building.cache import forgotten_if_damaged
from insight_edge.compile.building.kept import workplace
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.builds import Outcomes
from insight_edge.compile.choose import Choice, choose
from insight_edge.compile.choose_predicted import choose_predicted
from insight_edge.compile.contenders import contenders
from insight_edge.compile.ledger import Ledger
from insight_edge.compile.planning import plan_here
from insight_edge.compile.progress import Watch, watch_nothing
from insight_edge.compile.reading import read_source
from insight_edge.compile.remote.announcement import find_builder
from insight_edge.compile.reproduce import Reproduce
from insight_edge.compile.rows.samples import Samples, read_samples
from insight_edge.compile.settings import (
    DEFAULT_MAX_DROP_PP,
    MEASURED_DROP_PP,
    Compilation,
    Settings,
)
from insight_edge.compile.shipping import shipped_parts
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.targets.abroad import ASKING_S, abroad
from insight_edge.compile.targets.plan import Planned
from insight_edge.compile.trials.examine import Conditions, Finding, device_python, examine
from insight_edge.compile.trials.package import Part, package
from insight_edge.compile.trials.question import Question, ask, keep_question
from insight_edge.compile.trials.repair import Repair
from insight_edge.compile.workshop import Workshop, sites_of
from insight_edge.documents.evidence import Trial
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import Provenance
from insight_edge.documents.profile import HardwareProfile, exceeds, host_mismatch
from insight_edge.documents.target import target_from_token
from insight_edge.errors import (
    ConfigurationError,
    DocumentError,
    NothingShippableError,
    ToolchainMissingError,
)

Tell = Callable[[str], None]


def compile_model(
    model: Path,
    profile: HardwareProfile,
    output: Path,
    *,
    samples: Path | None = None,
    settings: Settings | None = None,
    tell: Tell = lambda _: None,
    watch: Watch = watch_nothing,
    profile_name: str | None = None,
) -> Compilation:
    """Compile a model for a profile and write the bundle `output`.

    Args:
        model: of any framework that an importer reads.
        profile: this machine must be able to stand in for it, or be of another architecture.
        output: directory of the bundle; an existing bundle is replaced.
        samples: .npz with rows to calibrate with and to prove on.
        settings: how.
        tell: called with a few words at every step, from several threads.
        watch: called with where each target has got to, from several threads.
        profile_name: what finds the profile again, its id or a TOML file; its id for None.

    Raises:
        ModelError: the model cannot be read, or does not run.
        ConfigurationError: this machine cannot stand in for the profile, the samples cannot be
            used, a target asked for does not exist, no builder works where one is named, or
            something else lies at `output`.
        ToolchainMissingError: nothing could be tried because something is not installed.
        NothingShippableError: no trial survived; it carries the trials.
        StorageError: the disk is full or cannot be written; no bundle is left half-written.
    """
    settings = settings or Settings()
    facts = machine_facts()
    _refuse_mismatch(profile, facts)
    _refuse_occupied(output)
    source = read_source(model, trust_pickle=settings.trust_pickle, transforms=settings.transforms)
    source = _fused(source, tell) if settings.fuse else source
    rows = read_samples(samples, source.described.inputs) if samples else None
    command = Reproduce(
        model=model,
        profile=profile_name or profile.id,
        output=output,
        samples=samples,
        settings=settings,
    )
    with workplace(settings.keep) as folder:
        compiler = _Compiler(
            source=source,
            profile=profile,
            facts=facts,
            settings=settings,
            place=folder,
            command=command,
            tell=tell,
            watch=watch,
        )
        return compiler.run(rows, output)


class _Compiler:
    """One compilation; its steps share the source, the profile and a place to work in."""

    def __init__(
        self,
        *,
        source: SourceModel,
        profile: HardwareProfile,
        facts: Facts,
        settings: Settings,
        place: Path,
        command: Reproduce,
        tell: Tell,
        watch: Watch,
    ) -> None:
        self._source = source
        self._profile = profile
        self._facts = facts
        self._settings = settings
        self._place = place
        self._abroad = abroad(profile, facts, place / "emulated", contenders=settings.contenders)
        self._builder = None if settings.builder is None else find_builder(settings.builder)
        self._tell = tell
        self._watch = watch
        self._ledger = Ledger(
            source=source,
            profile=profile,
            facts=facts,
            command=command,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            builder=self._builder,
        )

    def run(self, rows: Samples | None, output: Path) -> Compilation:
        ledger, planned = self._ledger, self._plan(rows)
        able = [p for p in planned if p.refusal is None]
        workshop = self._workshop(able)
        self._tell("asking the source model")
        question = ask(self._source, rows)
        if self._settings.keep is not None:
            keep_question(self._place, question)
        outcomes = workshop.build(able, rows)
        here = {p.target.token for p in planned if p.unexecuted is None}
        asked = {token: outcome for token, outcome in outcomes.items() if token in here}
        repair = workshop.repair(outcomes)
        findings = self._examine(question, asked, repair)
        trials = [
            ledger.trial(p, outcomes.get(p.target.token), findings.get(p.target.token))
            for p in planned
        ]
        for one in repair.done:
            there = workshop.elsewhere(one.target.backend)
            trials.append(ledger.mended(one, findings.get(one.target.token), elsewhere=there))
        choice = self._choose(trials)
        self._tell("packaging")
        evidence = ledger.evidence(choice.trials, findings)
        parts = shipped_parts(choice, findings, self._contenders(choice))
        origin = ledger.provenance(parts, workshop.sites, workshop.calibration)
        digest = package(output, self._source, question, evidence, parts, origin)
        return Compilation(bundle=output, digest=digest, evidence=evidence)

    def _contenders(self, choice: Choice) -> tuple[Trial, ...]:
        if not self._settings.contenders:
            return ()
        accept = self._settings.accept_unproven
        return contenders(choice, self._profile.limits, accept_unproven=accept)

    def _workshop(self, able: Sequence[Planned]) -> Workshop:
        return Workshop(
            source=self._source,
            profile=self._profile,
            settings=self._settings,
            place=self._place,
            sites=sites_of(able, self._settings.builder, self._builder),
            tell=self._tell,
            watch=self._watch,
        )

    def _choose(self, trials: Sequence[Trial]) -> Choice:
        accept = self._settings.accept_unproven
        if self._abroad is not None:
            asked = [self._abroad.labelled(trial, self._source.workload) for trial in trials]
            return choose_predicted(asked, self._profile, accept_unproven=accept)
        limits = self._profile.limits
        return choose(trials, limits, accept_unproven=accept, measured_on=self._facts)

    def _plan(self, rows: Samples | None) -> tuple[Planned, ...]:
        planned = plan_here(
            self._source,
            self._profile,
            self._settings,
            rows,
            facts=self._facts,
            away=self._abroad,
            builder=self._builder,
        )
        if all(p.refusal is not None for p in planned):
            self._refuse_all(planned)
        return planned

    def _refuse_all(self, planned: Sequence[Planned]) -> None:
        """Say why nothing can be tried.

        Raises:
            ToolchainMissingError: something that is not installed would change that.
            NothingShippableError: nothing would.
        """
        missing = [p for p in planned if p.toolchain_missing]
        told = "; ".join(f"{p.target.token}: {p.refusal}" for p in missing or planned)
        message = f"nothing can be tried for {self._profile.id}: {told or 'no backend is there'}"
        if missing:
            hint = "see what is installed: insight-edge toolchain list"
            raise ToolchainMissingError(message, hint=hint)
        trials = [self._ledger.trial(p, None, None) for p in planned]
        raise NothingShippableError(message, trials=trials)

    def _examine(
        self, question: Question, outcomes: Outcomes, repair: Repair
    ) -> dict[str, Finding]:
        parts = [
            Part(target=target_from_token(token), built=outcome)
            for token, outcome in outcomes.items()
            if isinstance(outcome, Built)
        ]
        evidence = self._ledger.evidence((), {})

        def draft(part: Part) -> Path:
            place = self._place / "drafts" / part.name
            with forgotten_if_damaged(part.built):
                package(place, self._source, question, evidence, [part], Provenance())
            return place

        found = examine(
            self._source, question, parts, self._conditions(), draft, self._tell, mend=repair,
            watch=self._watch,
        )  # fmt: skip
        return {finding.part.target.token: finding for finding in found}

    def _conditions(self) -> Conditions:
        profile, settings = self._profile, self._settings
        cores = profile.cpu.cores.value
        budgets = (settings.max_drop_pp, profile.limits.max_drop_pp, DEFAULT_MAX_DROP_PP)
        away = self._abroad
        return Conditions(
            interpreter=device_python if away is None else away.interpreter,
            asking_s=None if away is None else ASKING_S,
            cpus=tuple(sorted(os.sched_getaffinity(0)))[:cores],
            threads=settings.threads or profile.threads or cores,
            budget_pp=next(budget for budget in budgets if budget is not None),
            measured_budget_pp=MEASURED_DROP_PP if settings.max_drop_pp is None else None,
            rounds=settings.rounds,
            bound=exceeds(profile, self._facts),
        )


def _fused(source: SourceModel, tell: Tell) -> SourceModel:
    # The onnx package, which planning and --help do without.
    from insight_edge.compile.sources.fusing import fuse

    fused = fuse(source)
    done = ", ".join(step.op for step in fused.fused)
    tell(f"fused into the graph: {done or 'nothing'}")
    return fused


def _refuse_mismatch(profile: HardwareProfile, facts: Facts) -> None:
    """Refuse a machine of the profile's own architecture that is not its equal."""
    reason = host_mismatch(profile, facts)
    if reason is not None and profile.cpu.arch == facts.arch:
        raise ConfigurationError(
            f"this machine cannot stand in for {profile.id}: it {reason}",
            hint="compile where the profile's hardware is; see: insight-edge profiles list",
        )


def _refuse_occupied(output: Path) -> None:
    """Refuse now what could not be replaced in the end."""
    if not os.path.lexists(output):
        return
    try:
        open_manifest(output, allow_unsigned=True)
    except DocumentError as error:
        raise ConfigurationError(
            f"{output}: exists and is not a whole bundle, so it is not replaced",
            hint="name another directory, or remove this one yourself",
        ) from error
