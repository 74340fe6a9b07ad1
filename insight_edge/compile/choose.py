# SPDX-License-Identifier: Apache-2.0
"""Which trial is shipped, and one sentence for each that says why or why not.

Pure. The winner has the lowest p50 among the trials that are proven and within
the limits; where its interval overlaps another's, the higher precision wins.
Less than FP32 is a rival only where it is measurably faster than every FP32
that could be shipped, and than its own engine's round by round. The FP32
fallback goes along for devices on which the winner cannot load.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from insight_edge.compile.quantize.int8 import slow_because
from insight_edge.documents.evidence import Trial
from insight_edge.documents.facts import Facts
from insight_edge.documents.profile import Limits
from insight_edge.errors import NothingShippableError

MIB = 2**20

INVALID = "measurement INVALID"

LAYERS_TOLD = 3

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


def choose(
    trials: Sequence[Trial],
    limits: Limits,
    *,
    accept_unproven: bool = False,
    measured_on: Facts | None = None,
) -> Choice:
    """Return which trials are shipped, and every trial with the reason why or why not.

    Args:
        trials: of one model for one profile, timed together.
        limits: of the profile.
        accept_unproven: what too few rows could not prove may be shipped.
        measured_on: the machine, for a reason that says what it lacks.

    Raises:
        NothingShippableError: no trial survived its gates; it carries them with their reasons.
    """
    objections = [objection(trial, limits, accept_unproven=accept_unproven) for trial in trials]
    able = [t for t, why in zip(trials, objections, strict=True) if why is None]
    if not able:
        raise no_trial(trials, objections)
    winner = _winner(able)
    fallback = _fallback(able, winner)
    lacks = slow_because(measured_on.arch, measured_on.isa) if measured_on else None
    objections = [
        _no_gain(trial, able, lacks) if why is None and trial is not winner else why
        for trial, why in zip(trials, objections, strict=True)
    ]
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
    why = unshippable(trial, accept_unproven=accept_unproven)
    if why is not None:
        return why
    measured = trial.measurement
    if measured is None:
        return "was not measured"
    if measured.verdict == "INVALID":
        return f"{INVALID}: {', '.join(measured.reasons)}"
    return _over_limit(trial, limits)


def unshippable(trial: Trial, *, accept_unproven: bool) -> str | None:
    """Return the first gate that a trial does not pass, of those before any measurement."""
    if trial.status != "built":
        return trial.reason
    proof = trial.proof
    if proof is None:
        return trial.reason or "was not measured"
    if proof.verdict == "FAILED":
        return proof.reason
    if trial.unfinished:
        return trial.unfinished
    return proof.reason if proof.verdict == "UNPROVEN" and not accept_unproven else None


def over_size(trial: Trial, limits: Limits) -> str | None:
    """Return that a trial's files are larger than they may be, or None."""
    size = trial.artifact_bytes or 0
    if limits.artifact_bytes is not None and size > limits.artifact_bytes:
        return f"has {size / MIB:.1f} MiB, the limit is {limits.artifact_bytes / MIB:.1f} MiB"
    return None


def no_trial(trials: Sequence[Trial], objections: Sequence[str | None]) -> NothingShippableError:
    """Return the error that says of each trial why it is not shipped."""
    lost = [told(t, why or "") for t, why in zip(trials, objections, strict=True)]
    return NothingShippableError(
        _nothing(trials, objections), hint=_way_out(trials, objections), trials=lost
    )


def _over_limit(trial: Trial, limits: Limits) -> str | None:
    measured = trial.measurement
    if measured is None:
        return None
    p50_ms, rss = measured.p50_ms.value, measured.peak_rss_bytes
    if limits.latency_p50_ms is not None and p50_ms > limits.latency_p50_ms:
        return f"p50 {p50_ms:.3g} ms is over the limit of {limits.latency_p50_ms:g} ms"
    if limits.memory_bytes is not None and rss > limits.memory_bytes:
        return f"uses {rss / MIB:.0f} MiB, the limit is {limits.memory_bytes / MIB:.0f} MiB"
    return over_size(trial, limits)


def _winner(able: Sequence[Trial]) -> Trial:
    full = [trial for trial in able if trial.target.precision == "fp32"]
    worth = [trial for trial in able if trial in full or _beats_all(trial, full)]
    fastest = min(worth, key=_p50)
    rivals = [trial for trial in worth if _overlap(trial, fastest)]
    return min(rivals, key=lambda trial: (trial.target.rank, _p50(trial)))


def _beats_all(trial: Trial, full: Sequence[Trial]) -> bool:
    """Return whether it is measurably faster than every one of these."""
    return all(_beats(trial, other) for other in full)


def _beats(trial: Trial, full: Trial) -> bool:
    if _overlap(trial, full) or _p50(trial) > _p50(full):
        return False
    # Paired by round, what slowed the machine down cancels; launches of others are not paired.
    return not _own(trial, full) or trial.against_fp32 is None or trial.against_fp32.high < 1


def _own(trial: Trial, full: Trial) -> bool:
    """Return whether `full` is what `against_fp32` is about."""
    return full.target.token == f"{trial.target.backend}:fp32"


def _no_gain(trial: Trial, able: Sequence[Trial], lacks: str | None) -> str | None:
    """Return why a lower precision gains nothing over its own engine's FP32, or None."""
    own = next((full for full in able if _own(trial, full)), None)
    if own is None or trial is own or _beats(trial, own):
        return None
    ratio = _p50(trial) / _p50(own)
    if trial.against_fp32 is not None:
        ratio = trial.against_fp32.value
    why = f"not measurably faster than {own.target.token}, which is more precise"
    if ratio > 1 and not _overlap(trial, own):
        why = f"{ratio:.2f}x the p50 of {own.target.token}"
    return f"{why}: {lacks}" if lacks and trial.target.precision == "int8" else why


def _fallback(able: Sequence[Trial], winner: Trial) -> Trial | None:
    full = [trial for trial in able if trial.target.precision == "fp32"]
    if winner in full or not full:
        return None
    return min(full, key=_p50)


def _decided(trial: Trial, why: str | None, winner: Trial, fallback: Trial | None) -> Trial:
    if trial is winner:
        reason = f"won: {proven_or_accepted(trial)}, p50 {_p50(trial):.3g} ms"
        return told(trial, reason, chosen=True)
    if trial is fallback:
        return told(trial, "shipped as the FP32 fallback", chosen=True)
    return told(trial, _lost(trial, winner) if why is None else why)


def told(trial: Trial, reason: str, *, chosen: bool = False) -> Trial:
    """Return a trial with the reason why it is shipped or is not."""
    if trial.float_layers and trial.status == "built":
        reason = f"{reason}; in floating point: {_layers(trial)}"
    return msgspec.structs.replace(trial, chosen=chosen, reason=reason)


def _layers(trial: Trial) -> str:
    """Return the first few layers that stay in floating point, and why."""
    first = [f"{layer.name} ({layer.why})" for layer in trial.float_layers[:LAYERS_TOLD]]
    more = len(trial.float_layers) - len(first)
    return ", ".join([*first, *([f"{more} more"] if more else [])])


def _lost(trial: Trial, winner: Trial) -> str:
    ratio = _p50(trial) / _p50(winner)
    if ratio < 1 or (_overlap(trial, winner) and trial.target.rank > winner.target.rank):
        return f"not measurably faster than {winner.target.token}, which is more precise"
    return f"{ratio:.2f}x the p50 of {winner.target.token}"


def proven_or_accepted(trial: Trial) -> str:
    """Return in words what allows a trial to be shipped."""
    return "unproven, accepted" if trial.proof and trial.proof.verdict != "PROVEN" else "proven"


def _p50(trial: Trial) -> float:
    return trial.measurement.p50_ms.value if trial.measurement else float("inf")


def _overlap(a: Trial, b: Trial) -> bool:
    if a.measurement is None or b.measurement is None:
        return False
    one, other = a.measurement.p50_ms, b.measurement.p50_ms
    return one.low <= other.high and other.low <= one.high


def _nothing(trials: Sequence[Trial], objections: Sequence[str | None]) -> str:
    why_not = [f"{t.target.token}: {why}" for t, why in zip(trials, objections, strict=True)]
    if not why_not:
        return "there was nothing to try"
    return "nothing can be shipped; " + "; ".join(why_not)


def _way_out(trials: Sequence[Trial], objections: Sequence[str | None]) -> str | None:
    """Return what would let one of the trials through its gate, where something would."""
    pairs = zip(trials, objections, strict=True)
    proofs = [t.proof for t, why in pairs if t.proof and why == t.proof.reason]
    proofs = [proof for proof in proofs if proof.verdict == "UNPROVEN"]
    if not proofs:
        untimed = any(why and why.startswith(INVALID) for why in objections)
        return "measure for longer: more --rounds" if untimed else None
    rows = min(proof.need_rows for proof in proofs)
    more = f"give {rows} more verification rows" if rows < MANY_ROWS else "allow more --max-drop"
    return f"{more}, or accept it with --accept-unproven"
