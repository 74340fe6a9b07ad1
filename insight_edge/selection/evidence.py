# SPDX-License-Identifier: Apache-2.0
"""What was measured, as predictions and choices use it: of results and of bundles' evidence.

Only what was measured on the profile's own class counts. A measurement that is INVALID, or whose
figures are no positive numbers, is left out, with the reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from statistics import fmean, stdev

from insight_edge.documents.evidence import Evidence, Measurement
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.result import BenchResult
from insight_edge.documents.target import Target
from insight_edge.documents.workload import Workload
from insight_edge.selection.costs import costs
from insight_edge.selection.latency import Class, Latency, device_name
from insight_edge.selection.learning import Learned, Observation, learn
from insight_edge.selection.machine import Machine, machine_from_profile

Place = tuple[str, str, str]
"""Digest of a model, id of a profile, token of a target."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One measurement, and of what.

    Attributes:
        rounds_ms: latencies by round, where they were kept.
        drop_pp: percentage points of the metric, at most, where they were proven.
    """

    model: str
    profile: str
    target: Target
    measurement: Measurement
    rounds_ms: tuple[tuple[float, ...], ...] = ()
    drop_pp: float | None = None

    @property
    def place(self) -> Place:
        """What it is of."""
        return self.model, self.profile, self.target.token


def measured_from_result(result: BenchResult) -> Measured:
    """Return what a line of a file of results says."""
    return Measured(
        model=result.model.digest,
        profile=result.profile,
        target=result.target,
        measurement=result.measurement,
        rounds_ms=result.samples_ms,
    )


def measured_from_evidence(evidence: Evidence) -> tuple[Measured, ...]:
    """Return what the trials of a bundle measured."""
    return tuple(
        Measured(
            model=evidence.model_digest,
            profile=evidence.profile,
            target=trial.target,
            measurement=trial.measurement,
            drop_pp=trial.proof.drop_upper_pp if trial.proof else None,
        )
        for trial in evidence.trials
        if trial.measurement is not None
    )


def doubt(measured: Measured) -> str | None:
    """Return why a measurement does not count, or None."""
    found = measured.measurement
    ends = (found.p50_ms.low, found.p50_ms.value, found.p50_ms.high)
    if not all(isfinite(end) and end > 0 for end in ends) or list(ends) != sorted(ends):
        return "its latency is not a positive number within its interval"
    if found.verdict == "INVALID":
        return "it is INVALID"
    if found.kind == "bound":
        return "it was measured on a machine of another class than the profile's"
    if found.scenario != "single-stream":
        return f"it is of scenario {found.scenario}, not single-stream"
    return None


def counted(measured: Iterable[Measured]) -> tuple[dict[Place, Measured], tuple[str, ...]]:
    """Return the last measurement of each thing, and why others were left out, each once."""
    kept: dict[Place, Measured] = {}
    why: dict[str, None] = {}
    for one in measured:
        reason = doubt(one)
        if reason is None:
            kept[one.place] = one
        else:
            why[f"{one.profile} {one.target.token}: {reason}"] = None
    return kept, tuple(why)


def measured_latency(measured: Measured) -> Latency:
    """Return the latency that was measured."""
    found = measured.measurement
    tail = {one.percent: one.value_ms / found.p50_ms.value for one in found.percentiles}
    return Latency(
        p50_ms=found.p50_ms.value,
        low_ms=found.p50_ms.low,
        high_ms=found.p50_ms.high,
        kind="measured",
        basis=f"{found.iterations} inferences, {found.verdict}",
        tail=tail or None,
        mean=found.mean_ms / found.p50_ms.value if 0 < found.mean_ms < inf else 1.0,
        scatter=_scatter(measured.rounds_ms),
    )


def _scatter(rounds_ms: Iterable[Sequence[float]]) -> float:
    """Return the squared coefficient of variation of latencies; 0 for none."""
    taken = [ms for block in rounds_ms for ms in block if 0 < ms < inf]
    if len(taken) < 2:
        return 0.0
    return (stdev(taken) / fmean(taken)) ** 2


def learn_from(
    measured: Iterable[Measured],
    workloads: Mapping[str, Workload],
    profiles: Mapping[str, HardwareProfile],
) -> dict[Class, Learned]:
    """Return what measurements teach of each class; those of unknown models or devices nothing."""
    found: dict[Class, list[Observation]] = {}
    for one in measured:
        workload, profile = workloads.get(one.model), profiles.get(one.profile)
        if workload is None or profile is None or one.target.options:
            continue
        machine = machine_from_profile(profile, one.target)
        if isinstance(machine, Machine) and workload.operations:
            asked = max(1, min(one.measurement.threads, machine.threads))
            found.setdefault((machine.device_class, one.target.backend), []).append(
                Observation(
                    device=device_name(profile.id, one.target),
                    model=one.model,
                    costs=costs(workload, replace(machine, threads=asked)),
                    seconds=one.measurement.p50_ms.value / 1e3,
                )
            )
    return {key: learn(own, key[0]) for key, own in found.items()}
