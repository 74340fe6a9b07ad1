# SPDX-License-Identifier: Apache-2.0
"""Which trial is shipped, and one sentence for each that says why or why not.

Pure. The winner has the lowest p50 among the trials that are proven and within
the limits; where its interval overlaps another's, the higher precision wins.
The FP32 fallback goes along for devices on which the winner cannot load.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from insight_edge.documents.evidence import Trial
from insight_edge.documents.profile import Limits
from insight_edge.errors import NothingShippableError

MIB = 2**20

MANY_ROWS = 10**8
"""Nobody is told to give so many."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The outcome for one profile.

    Attributes:
        trials: all of them in the order given, each with its reason, the shipped ones chosen.
        winner: the index of the trial that won.
        fallback: the index of the FP32 trial shipped beside it, or None where the winner is one.
    """

    trials: tuple[Trial, ...]
    winner: int
    fallback: int | None

    @property
    def shipped(self) -> tuple[int, ...]:
        """Indices of the trials whose artifacts go into the bundle, the winner first."""
        return (self.winner,) if self.fallback is None else (self.winner, self.fallback)


def choose(trials: Sequence[Trial], limits: Limits, *, accept_unproven: bool = False) -> Choice:
    """Return which trials are shipped, and every trial with the reason why or why not.

    Raises:
        NothingShippableError: no trial survived its gates; it carries them with their reasons.
    """
    objections = [objection(trial, limits, accept_unproven=accept_unproven) for trial in trials]
    able = [t for t, why in zip(trials, objections, strict=True) if why is None]
    if not able:
        lost = [_with_reason(t, why or "") for t, why in zip(trials, objections, strict=True)]
        raise NothingShippableError(
            _nothing(trials, objections), hint=_way_out(trials), trials=lost
        )
    winner = _winner(able)
    fallback = _fallback(able, winner)
    decided = tuple(
        _decided(trial, why, winner, fallback)
        for trial, why in zip(trials, objections, strict=True)
    )
    index = [id(trial) for trial in trials].index
    return Choice(
        trials=decided,
        winner=index(id(winner)),
        fallback=None if fallback is None else index(id(fallback)),
    )


def objection(trial: Trial, limits: Limits, *, accept_unproven: bool) -> str | None:
    """Return the first gate that a trial does not pass, or None."""
    if trial.status != "built":
        return trial.reason
    proof, measured = trial.proof, trial.measurement
    if proof is None or measured is None:
        return trial.reason or "was not measured"
    if proof.verdict == "FAILED" or (proof.verdict == "UNPROVEN" and not accept_unproven):
        return proof.reason
    if measured.verdict == "INVALID":
        return f"measurement INVALID: {', '.join(measured.reasons)}"
    return _over_limit(trial, limits)


def _over_limit(trial: Trial, limits: Limits) -> str | None:
    measured = trial.measurement
    if measured is None:
        return None
    p50_ms, rss = measured.p50_ms.value, measured.peak_rss_bytes
    if limits.latency_p50_ms is not None and p50_ms > limits.latency_p50_ms:
        return f"p50 {p50_ms:.3g} ms is over the limit of {limits.latency_p50_ms:g} ms"
    if limits.memory_bytes is not None and rss > limits.memory_bytes:
        return f"uses {rss / MIB:.0f} MiB, the limit is {limits.memory_bytes / MIB:.0f} MiB"
    size = trial.artifact_bytes or 0
    if limits.artifact_bytes is not None and size > limits.artifact_bytes:
        return f"has {size / MIB:.1f} MiB, the limit is {limits.artifact_bytes / MIB:.1f} MiB"
    return None


def _winner(able: Sequence[Trial]) -> Trial:
    fastest = min(able, key=_p50)
    rivals = [trial for trial in able if _overlap(trial, fastest)]
    return min(rivals, key=lambda trial: (trial.target.rank, _p50(trial)))


def _fallback(able: Sequence[Trial], winner: Trial) -> Trial | None:
    full = [trial for trial in able if trial.target.precision == "fp32"]
    if winner in full or not full:
        return None
    return min(full, key=_p50)


def _decided(trial: Trial, why: str | None, winner: Trial, fallback: Trial | None) -> Trial:
    if trial is winner:
        reason = f"won: {_proven(trial)}, p50 {_p50(trial):.3g} ms"
        return msgspec.structs.replace(trial, chosen=True, reason=reason)
    if trial is fallback:
        return msgspec.structs.replace(trial, chosen=True, reason="shipped as the FP32 fallback")
    return _with_reason(trial, _lost(trial, winner) if why is None else why)


def _with_reason(trial: Trial, reason: str) -> Trial:
    return msgspec.structs.replace(trial, chosen=False, reason=reason)


def _lost(trial: Trial, winner: Trial) -> str:
    ratio = _p50(trial) / _p50(winner)
    if ratio < 1 or (_overlap(trial, winner) and trial.target.rank > winner.target.rank):
        return f"not measurably faster than {winner.target.token}, which is more precise"
    return f"{ratio:.2f}x the p50 of {winner.target.token}"


def _proven(trial: Trial) -> str:
    return "unproven, accepted" if trial.proof and trial.proof.verdict != "PROVEN" else "proven"


def _p50(trial: Trial) -> float:
    return trial.measurement.p50_ms.value if trial.measurement else float("inf")


def _overlap(a: Trial, b: Trial) -> bool:
    if a.measurement is None or b.measurement is None:
        return False
    one, other = a.measurement.p50_ms, b.measurement.p50_ms
    return one.low <= other.high and other.low <= one.high


def _nothing(trials: Sequence[Trial], objections: Sequence[str | None]) -> str:
    told = [f"{t.target.token}: {why}" for t, why in zip(trials, objections, strict=True)]
    return "nothing can be shipped; " + "; ".join(told) if told else "there was nothing to try"


def _way_out(trials: Sequence[Trial]) -> str | None:
    proofs = [t.proof for t in trials if t.proof and t.proof.verdict == "UNPROVEN"]
    if not proofs:
        return None
    rows = min(proof.need_rows for proof in proofs)
    more = f"give {rows} more verification rows" if rows < MANY_ROWS else "allow more --max-drop"
    return f"{more}, or accept it with --accept-unproven"
