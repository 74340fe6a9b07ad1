# SPDX-License-Identifier: Apache-2.0
"""The latency of a model on a device: measured, or else predicted, or else a bound.

What was measured on the device itself is said before anything that is worked out; each
says which it is and what it rests on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target
from insight_edge.documents.workload import Workload
from insight_edge.selection.costs import costs
from insight_edge.selection.learning import Learned, datasheet
from insight_edge.selection.machine import Machine, machine_from_profile
from insight_edge.selection.roofline import Bound

Kind: TypeAlias = Literal["measured", "predicted", "bound"]
Class: TypeAlias = tuple[str, str]
"""Architecture and backend: what factors are learned for."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """What one inference takes, in milliseconds.

    Attributes:
        p50_ms: the median; of a bound what it cannot come below.
        low_ms, high_ms: the interval, of 95 % where measured and 90 % where predicted;
            `high_ms` is infinite for a bound.
        kind: how it is known.
        basis: what it rests on, for people.
        tail: percentiles over the median, by percent, where they were measured.
        mean: over the median; 1 where it was not measured.
        scatter: squared coefficient of variation; 0 where latencies were not kept.
    """

    p50_ms: float
    low_ms: float
    high_ms: float
    kind: Kind
    basis: str
    tail: Mapping[float, float] | None = None
    mean: float = 1.0
    scatter: float = 0.0


def predict_latency(
    workload: Workload,
    profile: HardwareProfile,
    target: Target,
    learned: Mapping[Class, Learned],
    bound: Bound | None = None,
) -> Latency | str:
    """Return the predicted latency of a model, its bound, or why there is neither.

    Args:
        workload: of the model.
        profile: of the device.
        target: what is run there; of one with options nothing is predicted.
        learned: by class; a class without measurements is predicted from the datasheet.
        bound: what it cannot come below, where that is known.
    """
    machine = machine_from_profile(profile, target)
    reason = _unpredictable(workload, profile, target, machine)
    if reason is None and isinstance(machine, Machine):
        known = learned.get((machine.device_class, target.backend))
        found = datasheet(machine.device_class) if known is None else known
        device = device_name(profile.id, target)
        value, low, high = (s * 1e3 for s in found.foretell(costs(workload, machine), device))
        return Latency(p50_ms=value, low_ms=low, high_ms=high, kind="predicted", basis=found.basis)
    if bound is None:
        return reason or ""
    least = bound.latency_ms
    basis = f"{' and '.join(bound.counted)} at their peaks; {reason}"
    return Latency(p50_ms=least, low_ms=least, high_ms=float("inf"), kind="bound", basis=basis)


def device_name(profile_id: str, target: Target) -> str:
    """Return what a device that runs a target is called among observations."""
    return f"{profile_id} {target.token}"


def _unpredictable(
    workload: Workload, profile: HardwareProfile, target: Target, machine: Machine | str
) -> str | None:
    reasons = (
        (isinstance(machine, str), str(machine)),
        (bool(target.options), "other options than a precision are not predicted"),
        (target.backend not in profile.engines, f"{profile.id} does not run {target.backend}"),
        (target.backend == "tensorrt", "nothing is known of accelerators but their peaks"),
        (
            bool(workload.unknown_ops),
            f"what {', '.join(workload.unknown_ops)} computes is not known",
        ),
        (
            bool(workload.unsized),
            f"the size of tensor '{', '.join(workload.unsized[:1])}' is known only when it runs",
        ),
    )
    return next((reason for holds, reason in reasons if holds), None)
