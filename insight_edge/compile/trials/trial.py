# SPDX-License-Identifier: Apache-2.0
"""What became of one target, put together from its plan, its build and its examination."""

from insight_edge.compile.building.outcome import BuildOutcome, Built
from insight_edge.compile.targets.plan import Planned
from insight_edge.compile.trials.examine import Finding
from insight_edge.documents.evidence import Trial


def make_trial(
    planned: Planned, outcome: BuildOutcome | None, finding: Finding | None, reproduce: str
) -> Trial:
    """Return the trial of a target; its reason is why it failed, or empty until one is chosen.

    Args:
        planned: the target, and why it was refused if it was.
        outcome: of its build; None where there was none.
        finding: of its examination; None where there was none.
        reproduce: the command that tries it again.
    """
    if outcome is None:
        return Trial(
            target=planned.target,
            status="refused",
            reason=planned.refusal or "",
            reproduce=reproduce,
        )
    if isinstance(outcome, Built) and planned.unexecuted is not None:
        return _unexecuted(planned, outcome, planned.unexecuted, reproduce)
    failure = _failure(outcome, finding)
    return Trial(
        target=planned.target,
        status="built" if failure is None else "failed",
        reason=failure or "",
        build_s=outcome.build_s,
        artifact_bytes=outcome.artifact_bytes if isinstance(outcome, Built) else None,
        proof=finding.proof if finding else None,
        measurement=finding.measurement if finding else None,
        unfinished=outcome.artifact.unfinished if isinstance(outcome, Built) else "",
        log=outcome.log,
        reproduce=reproduce,
        against_fp32=finding.against_fp32 if finding else None,
        float_layers=finding.part.float_layers if finding else (),
    )


def _unexecuted(planned: Planned, built: Built, why: str, reproduce: str) -> Trial:
    """Return the trial of an artifact that nobody has run: it has no proof and is not chosen."""
    unfinished = built.artifact.unfinished
    return Trial(
        target=planned.target,
        status="built",
        reason=f"built, not executed: {'; '.join(filter(None, [why, unfinished]))}",
        build_s=built.build_s,
        artifact_bytes=built.artifact_bytes,
        unfinished=unfinished,
        unexecuted=why,
        log=built.log,
        reproduce=reproduce,
    )


def _failure(outcome: BuildOutcome, finding: Finding | None) -> str | None:
    if not isinstance(outcome, Built):
        return outcome.reason
    return "was not examined" if finding is None else finding.failure
