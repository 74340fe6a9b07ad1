# SPDX-License-Identifier: Apache-2.0
"""What a build is, and what one that did not end in a bundle says of itself. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from insight_edge.documents.evidence import Trial

MAX_REASON_LENGTH = 500
MAX_LOG_LENGTH = 8000


class BuildState(StrEnum):
    """How far a compilation is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class TrialSummary:
    """What became of one target, in short.

    Attributes:
        target: `backend:precision`.
        proof, measured: the verdicts, where there are such.
        p50_ms: median latency, as measured.
        drop_pp: percentage points of the task metric lost, as measured.
    """

    target: str
    status: str
    chosen: bool
    proof: str | None
    measured: str | None
    p50_ms: float | None
    drop_pp: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Build:
    """One compilation of a version for a profile.

    Attributes:
        attempt: 1 for the first, then one more each.
        digest: of the source model.
        bundle: digest of the manifest, where it is done.
        reason: why it failed, in a sentence; empty otherwise.
        log: the last lines of the compiler's standard error.
    """

    model: str
    version: int
    profile: str
    attempt: int
    digest: str
    state: BuildState
    bundle: str | None
    reason: str
    log: str
    trials: tuple[TrialSummary, ...]
    queued: datetime
    started: datetime | None
    ended: datetime | None


def summary_of(trial: Trial) -> TrialSummary:
    """Return a trial in short."""
    measurement, proof = trial.measurement, trial.proof
    return TrialSummary(
        target=trial.target.token,
        status=trial.status,
        chosen=trial.chosen,
        proof=None if proof is None else proof.verdict,
        measured=None if measurement is None else measurement.verdict,
        p50_ms=None if measurement is None else measurement.p50_ms.value,
        drop_pp=None if proof is None else proof.drop_pp,
        reason=trial.reason[:MAX_REASON_LENGTH],
    )


def failure_reason(code: int, log: Sequence[str], *, over_time: bool, timeout_s: float) -> str:
    """Return in a sentence why a compiler ended without a bundle; its own error where it said one.

    Args:
        code: its exit status; negative where a signal ended it.
        log: the last lines of its standard error.
        over_time: it was stopped.
        timeout_s: after that long.
    """
    if over_time:
        return f"the compiler took longer than {timeout_s:g} s"
    said = [line.removeprefix("error: ") for line in log if line.startswith("error: ")]
    last = said[-1] if said else (log[-1] if log else "it said nothing")
    how = f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
    return f"the compiler {how}: {last}"[:MAX_REASON_LENGTH]


def log_of(lines: Sequence[str]) -> str:
    """Return the lines that are kept, the last ones whole."""
    text = "\n".join(lines)
    return text[-MAX_LOG_LENGTH:]
