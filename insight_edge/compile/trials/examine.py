# SPDX-License-Identifier: Apache-2.0
"""Ask and time every built artifact where it will run: the device's engine and environment.

Each artifact is put into a draft bundle and loaded by a child process of the
device's locked environment, on as many processors as the profile has. All
children of a profile live at once and are timed interleaved, so that what
disturbs the machine disturbs all alike. A child that fails is a trial with its
reason. Nothing is chosen here.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from insight_edge.bench.interpreter import Interpreter
from insight_edge.bench.subject import TIMEOUT_S, SubjectProcess
from insight_edge.bench.timing import Scheme, Timed, time_subjects
from insight_edge.compile.progress import Rounds, Step, Watch, watch_nothing
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.compile.trials.asking import Answered, answered, patience_s
from insight_edge.compile.trials.oracle import fed_rows
from insight_edge.compile.trials.package import Part
from insight_edge.compile.trials.question import Question
from insight_edge.compile.trials.verify import no_rows, prove, refuse_misfit
from insight_edge.documents.evidence import Interval, Measurement, Proof
from insight_edge.documents.target import Target
from insight_edge.errors import InsightEdgeError, StorageError
from insight_edge.stats.interval import ratio_interval

Draft = Callable[[Part], Path]
Tell = Callable[[str], None]
Outcomes = dict[str, Timed | str]
"""By name of the part: how it was timed, or why it was not."""


def device_python(engine: str) -> Path:
    """Return the interpreter of the device's environment of an engine on this machine.

    Raises:
        ToolchainMissingError: it is not installed.
    """
    return environment_python(f"device-{engine}")


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Under which artifacts are asked and timed.

    Attributes:
        cpus: processors that a child is pinned to.
        threads: of the engine.
        budget_pp: percentage points of the task metric that may be lost, as proven.
        measured_budget_pp: the same as measured, where that is less.
        rounds: in which all are timed once.
        bound: the machine is not of the profile's class, so latencies are bounds.
        interpreter: by engine, what runs the device's environment.
        asking_s: where that is emulated: how long an artifact is asked, and it is not timed. None
            for all rows, and rounds of measurement.
    """

    cpus: tuple[int, ...]
    threads: int
    budget_pp: float
    rounds: int
    bound: bool
    measured_budget_pp: float | None = None
    interpreter: Callable[[str], Path | Interpreter] = device_python
    asking_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of one artifact.

    Attributes:
        part: with its own golden answers, where it gave any.
        failure: why it could not be asked or timed; None where it could.
        packages: versions of the environment it ran in.
        against_fp32: p50 over that of the same engine's FP32, paired round by round.
    """

    part: Part
    proof: Proof | None = None
    measurement: Measurement | None = None
    failure: str | None = None
    packages: dict[str, str] | None = None
    against_fp32: Interval | None = None


Mend = Callable[[Sequence[Finding], Callable[[Part], Finding]], Sequence[Part]]
"""Given what was found, and a way to put another artifact to the proof: more artifacts."""


def mend_nothing(findings: Sequence[Finding], look: Callable[[Part], Finding]) -> Sequence[Part]:  # noqa: ARG001 (a `Mend`)
    """Return no more artifacts."""
    return ()


def examine(
    source: SourceModel,
    question: Question,
    parts: Sequence[Part],
    conditions: Conditions,
    draft: Draft,
    tell: Tell = lambda _: None,
    *,
    mend: Mend = mend_nothing,
    watch: Watch = watch_nothing,
) -> tuple[Finding, ...]:
    """Return what became of each artifact, in order, and of those that mending added.

    Args:
        source: whose answers are the truth.
        question: what is asked.
        parts: the artifacts.
        conditions: under which.
        draft: writes a draft bundle of one part and returns its directory.
        tell: called with a few words at every step.
        mend: makes more artifacts once all were asked, before any is timed.
        watch: called with where each target has got to, and with the rounds done.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    with ExitStack() as running:
        subjects: dict[str, SubjectProcess] = {}

        def ask(part: Part, place: ExitStack) -> tuple[Finding, SubjectProcess | None]:
            tell(f"asking {part.target.token}")
            watch(Step(token=part.target.token, state="asking"))
            try:
                subject = place.enter_context(_start(draft(part), part, conditions))
                found = _ask(source, question, part, subject, conditions)
            except StorageError:
                raise
            except InsightEdgeError as error:
                watch(Step(token=part.target.token, state="failed", why=str(error)))
                return Finding(part=part, failure=str(error)), None
            watch(Step(token=part.target.token, state="asked"))
            return found, subject

        def look(part: Part) -> Finding:
            with ExitStack() as place:
                return ask(part, place)[0]

        def keep(part: Part) -> Finding:
            if conditions.asking_s is not None:
                return look(part)
            finding, subject = ask(part, running)
            if subject is not None and not _too_slow_to_time(finding, question):
                subjects[part.name] = subject
            return finding

        findings = [keep(part) for part in parts]
        findings += [keep(part) for part in mend(findings, look)]
        outcomes = _time(subjects, conditions, tell, watch)
    return tuple(_with_outcome(finding, outcomes) for finding in findings)


def _start(bundle: Path, part: Part, conditions: Conditions) -> SubjectProcess:
    return SubjectProcess(
        bundle,
        threads=conditions.threads,
        python=conditions.interpreter(part.target.backend),
        cpus=conditions.cpus,
        timeout_s=TIMEOUT_S if conditions.asking_s is None else TIMEOUT_S + conditions.asking_s,
    )


def _ask(
    source: SourceModel,
    question: Question,
    part: Part,
    subject: SubjectProcess,
    conditions: Conditions,
) -> Finding:
    answers = subject.answer(fed_rows(source, question.golden_rows))
    refuse_misfit(question.golden_answers, answers)
    proof = no_rows(conditions.budget_pp)
    if question.count:
        budget_s = patience_s(conditions.asking_s, part.built.artifact.unfinished)
        found = answered(subject, source, question, budget_s)
        proof = prove(
            found.source,
            found.target,
            found.labels,
            budget_pp=conditions.budget_pp,
            measured_budget_pp=conditions.measured_budget_pp,
            task=source.described.model.task,
        )
        proof = _as_of(found, question, proof)
    return Finding(
        part=replace(part, answers=answers), proof=proof, packages=subject.loaded.packages
    )


def _too_slow_to_time(finding: Finding, question: Question) -> bool:
    """Return whether an artifact is not shipped anyway and would hold up every round."""
    unfinished = finding.part.built.artifact.unfinished
    return bool(unfinished and finding.proof and finding.proof.rows < question.count)


def _as_of(found: Answered, question: Question, proof: Proof) -> Proof:
    """Return a proof that counts rows as the question does, and says where it saw but some."""
    asked, reason = len(found.rows), proof.reason
    if asked < question.count:
        reason = f"{reason}; {asked} of {question.count} rows were asked in time"
    worst = int(found.rows[proof.worst_row])
    return msgspec.structs.replace(proof, reason=reason, worst_row=worst)


def _time(
    subjects: Mapping[str, SubjectProcess], conditions: Conditions, tell: Tell, watch: Watch
) -> Outcomes:
    """Time all subjects together; where one is lost, time the others anew without it."""
    scheme = Scheme(rounds=conditions.rounds, threads=conditions.threads, bound=conditions.bound)
    outcomes: Outcomes = {}

    def count(done: int) -> None:
        tell(f"measuring, round {done} of {conditions.rounds}")
        watch(Rounds(done=done, of=conditions.rounds))

    while left := {name: one for name, one in subjects.items() if name not in outcomes}:
        try:
            watch(Rounds(done=0, of=conditions.rounds))
            timed = time_subjects(tuple(left.values()), scheme, count)
        except StorageError:
            raise
        except InsightEdgeError as error:
            outcomes |= _lost(left) or dict.fromkeys(left, f"not measured: {error}")
        else:
            outcomes |= zip(left, timed, strict=True)
    return outcomes


def _lost(subjects: Mapping[str, SubjectProcess]) -> dict[str, str]:
    """Return the subjects that cannot be timed any more, and why."""
    lost = {}
    for name, subject in subjects.items():
        try:
            subject.block(1)
        except InsightEdgeError as error:
            lost[name] = f"not measured: {error}"
    return lost


def _with_outcome(finding: Finding, outcomes: Outcomes) -> Finding:
    outcome = outcomes.get(finding.part.name)
    if isinstance(outcome, Timed):
        paired = _against_fp32(finding.part.target, outcome, outcomes)
        return replace(finding, measurement=outcome.measurement, against_fp32=paired)
    return finding if outcome is None else replace(finding, failure=outcome)


def _against_fp32(target: Target, timed: Timed, outcomes: Outcomes) -> Interval | None:
    """Return the ratio to the same engine's FP32; all that were timed were timed together."""
    full = outcomes.get(f"{target.backend}-fp32")
    if target.precision == "fp32" or not isinstance(full, Timed):
        return None
    value, low, high = ratio_interval(timed.blocks, full.blocks)
    return Interval(value=value, low=low, high=high)
