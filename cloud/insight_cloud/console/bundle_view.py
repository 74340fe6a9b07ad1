# SPDX-License-Identifier: Apache-2.0
"""What the page of a bundle shows of its evidence. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from insight_cloud.console import words
from insight_cloud.console.tags import Tag, tag_of
from insight_edge.documents.evidence import Evidence, Measurement, Proof, Trial
from insight_edge.documents.manifest import Manifest, Variant

_STATUS = {"refused": Tag("refused", ""), "failed": Tag("failed", "bad")}


@dataclass(frozen=True, kw_only=True)
class TrialLine:
    """A trial as it is shown; what it has not is None."""

    target: str
    chosen: bool
    tag: Tag
    p50: str
    p50_interval: str
    p99: str
    measured: Tag | None
    kind: str
    drop: str
    drop_bound: str
    proof: Proof | None
    size_bytes: int | None
    build_s: float | None
    reason: str
    reproduce: str


def trial_lines(evidence: Evidence) -> tuple[TrialLine, ...]:
    """Return the trials: those in the bundle first, then the fastest, the unmeasured last."""
    lines = sorted(evidence.trials, key=_order)
    return tuple(_line(trial) for trial in lines)


def winner_of(manifest: Manifest) -> Variant | None:
    """Return the variant that a bundle was made for."""
    return next((one for one in manifest.variants if one.role == "winner"), None)


def trial_of(evidence: Evidence, target: str) -> Trial | None:
    """Return what became of a target."""
    return next((one for one in evidence.trials if one.target.token == target), None)


def interval_text(measurement: Measurement) -> str:
    """Return the interval of the median, in milliseconds."""
    p50 = measurement.p50_ms
    return f"{words.figure(p50.low)} to {words.figure(p50.high)} ms"


def p99_text(measurement: Measurement) -> str:
    """Return p99, which is there only where the iterations allow it."""
    found = measurement.percentiles_ms.get("p99")
    return words.MISSING if found is None else f"{words.figure(found)} ms"


def bound_text(proof: Proof) -> str:
    """Return what is lost at most, and what may be."""
    return f"at most {proof.drop_upper_pp:+.2f}, allowed {proof.budget_pp:g}"


def latency_chart(lines: Sequence[Trial]) -> dict[str, Any] | None:
    """Return the medians of the trials that were measured; None where there are fewer than two."""
    measured = [one for one in lines if one.measurement is not None]
    if len(measured) < 2:
        return None
    return {
        "kind": "lines",
        "labels": [one.target.token for one in measured],
        "axes": ["p50 ms"],
        "floor": [0],
        "series": [
            {
                "name": "p50",
                "bars": True,
                "colour": "accent",
                "values": [one.measurement.p50_ms.value for one in measured if one.measurement],
            }
        ],
    }


def _order(trial: Trial) -> tuple[bool, float]:
    measured = trial.measurement
    return not trial.chosen, float("inf") if measured is None else measured.p50_ms.value


def _line(trial: Trial) -> TrialLine:
    measured, proof = trial.measurement, trial.proof
    return TrialLine(
        target=trial.target.token,
        chosen=trial.chosen,
        tag=_tag(trial),
        p50=words.MISSING if measured is None else f"{words.figure(measured.p50_ms.value)} ms",
        p50_interval="" if measured is None else interval_text(measured),
        p99=words.MISSING if measured is None else p99_text(measured),
        measured=None if measured is None else tag_of(measured.verdict),
        kind=_kind(trial),
        drop=words.MISSING if proof is None else f"{proof.drop_pp:+.2f} pp",
        drop_bound="" if proof is None else bound_text(proof),
        proof=proof,
        size_bytes=trial.artifact_bytes,
        build_s=trial.build_s,
        reason=trial.reason,
        reproduce=trial.reproduce,
    )


def _kind(trial: Trial) -> str:
    """Return what a latency is: measured, predicted or a bound; nothing where there is none."""
    if trial.measurement is not None:
        return trial.measurement.kind
    return "" if trial.prediction is None else "predicted"


def _tag(trial: Trial) -> Tag:
    if trial.status in _STATUS:
        return _STATUS[trial.status]
    return tag_of("built" if trial.proof is None else trial.proof.verdict)
