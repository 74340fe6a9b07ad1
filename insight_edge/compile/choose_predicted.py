# SPDX-License-Identifier: Apache-2.0
"""Which trial is shipped where none could be timed, by what is predicted.

Pure. The gates are those of `compile.choose`, less the one on memory, of which nothing
is known; latency is over its limit only where its bound is. Then:

    1. less than FP32 is shipped only where it is predicted faster (`compile.targets.predict`)
    2. the FP32 fallback always goes along, and wins where nothing is predicted faster
    3. nothing tells engines apart: the one that the profile names first wins

Nothing here pretends to an order in milliseconds. Measured on a device of the profile,
another target may win.
"""

from collections.abc import Sequence

from insight_edge.compile.choose import (
    Choice,
    no_trial,
    over_size,
    proven_or_accepted,
    told,
    unshippable,
)
from insight_edge.documents.evidence import Trial
from insight_edge.documents.profile import HardwareProfile


def choose_predicted(
    trials: Sequence[Trial], profile: HardwareProfile, *, accept_unproven: bool = False
) -> Choice:
    """Return which trials are shipped, and every trial with the reason why or why not.

    Args:
        trials: of one model for the profile, each that was asked with its prediction.
        profile: whose order of engines decides what predictions do not.
        accept_unproven: what too few rows could not prove may be shipped.

    Raises:
        NothingShippableError: no trial survived its gates; it carries them with their reasons.
    """
    objections = [_objection(trial, profile, accept_unproven) for trial in trials]
    order = [index for index, why in enumerate(objections) if why is None]
    order.sort(key=lambda index: _rank(trials[index], profile))
    if not order:
        raise no_trial(trials, objections)
    winner = order[0]
    full = (index for index in order if trials[index].target.precision == "fp32")
    fallback = next(full, None)
    fallback = None if fallback == winner else fallback
    decided = tuple(
        _decided(trial, objections[index], trials[winner], index in (winner, fallback))
        for index, trial in enumerate(trials)
    )
    return Choice(trials=decided, winner=winner, fallback=fallback)


def _objection(trial: Trial, profile: HardwareProfile, accept_unproven: bool) -> str | None:
    why = unshippable(trial, accept_unproven=accept_unproven)
    if why is not None:
        return why
    predicted = trial.prediction
    if predicted is None:
        return "nothing is predicted of it"
    if trial.target.precision == "int8" and not predicted.faster:
        return f"not predicted faster than FP32: {predicted.method}"
    least_ms, limit_ms = predicted.bound_ms, profile.limits.latency_p50_ms
    if least_ms is not None and limit_ms is not None and least_ms > limit_ms:
        return f"takes {least_ms:.3g} ms at least (bound), the limit is {limit_ms:g} ms"
    return over_size(trial, profile.limits)


def _rank(trial: Trial, profile: HardwareProfile) -> tuple[bool, int, int]:
    faster = trial.prediction is not None and trial.prediction.faster
    place = list(profile.engines).index(trial.target.backend)
    return not faster, trial.target.rank, place


def _decided(trial: Trial, why: str | None, winner: Trial, shipped: bool) -> Trial:
    if why is not None:
        return told(trial, why)
    if trial is winner:
        proven = proven_or_accepted(trial)
        faster = trial.prediction is not None and trial.prediction.faster
        ahead = "predicted faster than FP32" if faster else "nothing is predicted faster"
        return told(trial, f"won: {proven} under emulation, {ahead}", chosen=True)
    if shipped:
        return told(trial, "shipped as the FP32 fallback", chosen=True)
    return told(trial, f"not predicted faster than {winner.target.token}")
