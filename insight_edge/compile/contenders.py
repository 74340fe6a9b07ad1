# SPDX-License-Identifier: Apache-2.0
"""Contenders: variants that go along in a bundle until a device has timed them.

Pure. Which go along, and what the trials look like once a device has spoken. What is
shipped then is `compile.choose`'s decision, as of what was timed here.

Of several runs the one counts in which the most variants were timed, of these the one
with the most that are VALID, of these the newest: variants are only compared with what
was timed beside them.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec
import numpy as np

from insight_edge.compile.choose import Choice, over_size, unshippable
from insight_edge.documents.evidence import Interval, Trial
from insight_edge.documents.profile import HardwareProfile, Limits, exceeds, mismatch
from insight_edge.documents.result import BenchResult
from insight_edge.errors import ConfigurationError
from insight_edge.stats.interval import ratio_interval

ASKED = "single-stream"
"""How variants are asked that are compared: latencies of other scenarios are of other things."""

Run = Mapping[str, BenchResult]
"""What was timed together, by token of the target."""


def contenders(choice: Choice, limits: Limits, *, accept_unproven: bool) -> tuple[Trial, ...]:
    """Return the trials that are not shipped and could be, for all that is known but latency."""
    return tuple(
        trial
        for trial in choice.trials
        if not trial.chosen
        and trial.proof is not None
        and unshippable(trial, accept_unproven=accept_unproven) is None
        and over_size(trial, limits) is None
    )


def run_of(
    results: Sequence[BenchResult], artifacts: Mapping[str, str], profile: HardwareProfile
) -> Run:
    """Return the run that says the most of some artifacts on a device of a profile.

    Args:
        results: of any artifacts on any machines.
        artifacts: digests, by token of the target.
        profile: what they are for.

    Raises:
        ConfigurationError: none is of these artifacts, one row at a time, on such a device.
    """
    ours = [one for one in results if artifacts.get(one.target.token) == one.artifact]
    if not ours:
        raise ConfigurationError(
            f"none of {len(results)} results is of an artifact in the bundle",
            hint="time this bundle on a device: insight-cloud job bench",
        )
    asked = {one.measurement.scenario for one in ours}
    ours = [one for one in ours if one.measurement.scenario == ASKED]
    if not ours:
        raise ConfigurationError(
            f"the results are of scenario {', '.join(sorted(asked))}, not {ASKED}",
            hint="time the bundle again without --scenario",
        )
    why_not = {one.run: mismatch(profile, one.host) for one in ours}
    fit = sorted((one for one in ours if why_not[one.run] is None), key=lambda one: one.run)
    if not fit:
        other = max(ours, key=lambda one: one.at_s)
        raise ConfigurationError(
            f"'{other.device}' cannot stand in for {profile.id}: it {why_not[other.run]}",
            hint=f"time the bundle on a device of {profile.id}",
        )
    runs = [tuple(group) for _, group in groupby(fit, key=lambda one: one.run)]
    best = max(runs, key=_weight)
    return {one.target.token: one for one in best}


def measured(trials: Sequence[Trial], run: Run, profile: HardwareProfile) -> tuple[Trial, ...]:
    """Return the trials as a run has timed them; what it did not time was not measured."""
    return tuple(_measured(trial, run, profile) for trial in trials)


def _weight(run: Sequence[BenchResult]) -> tuple[int, int, float]:
    valid = sum(one.measurement.verdict == "VALID" for one in run)
    return len(run), valid, max(one.at_s for one in run)


def _measured(trial: Trial, run: Run, profile: HardwareProfile) -> Trial:
    if trial.proof is None:
        return trial
    timed, measurement = run.get(trial.target.token), None
    if timed is not None:
        kind = "bound" if exceeds(profile, timed.host) else "measured"
        measurement = msgspec.structs.replace(timed.measurement, kind=kind)
    return msgspec.structs.replace(
        trial,
        chosen=False,
        measurement=measurement,
        prediction=None,
        against_fp32=_against_fp32(trial, run),
    )


def _against_fp32(trial: Trial, run: Run) -> Interval | None:
    """Return the ratio to the same engine's FP32, round by round."""
    own, full = run.get(trial.target.token), run.get(f"{trial.target.backend}:fp32")
    if trial.target.precision == "fp32" or own is None or full is None:
        return None
    rounds = own.rounds_p50_ms, full.rounds_p50_ms
    if not rounds[0] or len(rounds[0]) != len(rounds[1]) or min(*rounds[0], *rounds[1]) <= 0:
        return None
    value, low, high = ratio_interval(*([np.array([p50]) for p50 in side] for side in rounds))
    return Interval(value=value, low=low, high=high)
