# SPDX-License-Identifier: Apache-2.0
"""Whether a target stays within what a profile has and allows, before anything is built.

Pure. `yes` counts the most that the target can take, `no` holds surely or by
that count; where the count is not known it is `unknown`, never `yes`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from insight_edge.documents.profile import Accelerator, HardwareProfile
from insight_edge.documents.target import Target
from insight_edge.documents.workload import Workload
from insight_edge.selection.footprint import MIB, Need
from insight_edge.selection.roofline import Bound

WHOLE_MIB = 10
"""From here on decimals tell nothing."""

Verdict = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """One limit that is exceeded, and what would change that."""

    reason: str
    change: str


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How a target stands to a profile.

    Attributes:
        misfits: why not, where the verdict is `no`.
        unknown: why nothing can be said, where it is `unknown`.
    """

    verdict: Verdict
    need: Need
    bound: Bound | None
    misfits: tuple[Misfit, ...] = ()
    unknown: str = ""


def fit(
    workload: Workload,
    target: Target,
    need: Need,
    bound: Bound | None,
    profile: HardwareProfile,
    accelerator: Accelerator | None = None,
) -> Fit:
    """Return whether a target fits.

    Args:
        workload: of the model.
        target: what is built of it.
        need: what that takes.
        bound: on its latency, None where there is none.
        profile: what it is for.
        accelerator: of the profile, where the target runs on one.
    """
    misfits = (
        *_memory_misfits(workload, target, need, profile, accelerator),
        *_artifact_misfits(target, need, profile),
        *_latency_misfits(bound, profile),
    )
    verdict: Verdict = "no" if misfits else "unknown" if need.unknown else "yes"
    return Fit(verdict=verdict, need=need, bound=bound, misfits=misfits, unknown=need.unknown)


def memory_limit_bytes(profile: HardwareProfile) -> int:
    """Return the most that a process may have."""
    total = profile.dram.length_bytes.value
    allowed = profile.limits.memory_bytes
    return total if allowed is None else min(total, allowed)


def _memory_misfits(
    workload: Workload,
    target: Target,
    need: Need,
    profile: HardwareProfile,
    accelerator: Accelerator | None,
) -> Iterator[Misfit]:
    taken = need.least_bytes if need.memory_bytes is None else need.memory_bytes
    limit = memory_limit_bytes(profile)
    if taken > limit:
        most = "takes at least" if need.memory_bytes is None else "takes up to"
        reason = f"{most} {_mib(taken)} of memory, the limit is {_mib(limit)}"
        yield Misfit(reason=reason, change=_less_memory(workload, target))
    card = accelerator.memory_bytes if accelerator else None
    if card is not None and need.least_bytes > card.value:
        reason = f"takes at least {_mib(need.least_bytes)}, the accelerator has {_mib(card.value)}"
        yield Misfit(reason=reason, change=_fewer_weights(target))


def _artifact_misfits(target: Target, need: Need, profile: HardwareProfile) -> Iterator[Misfit]:
    limit = profile.limits.artifact_bytes
    if limit is not None and need.artifact_bytes > limit:
        reason = f"its files take up to {_mib(need.artifact_bytes)}, the limit is {_mib(limit)}"
        yield Misfit(reason=reason, change=_fewer_weights(target))


def _latency_misfits(bound: Bound | None, profile: HardwareProfile) -> Iterator[Misfit]:
    limit_ms = profile.limits.latency_p50_ms
    if bound is None or limit_ms is None or bound.latency_ms <= limit_ms:
        return
    most = bound.costliest
    yield Misfit(
        reason=f"takes {bound.latency_ms:.3g} ms at least (bound), the limit is {limit_ms:g} ms",
        change=f"do less: {bound.share:.0%} of it is {most.op} '{most.name}'",
    )


def _less_memory(workload: Workload, target: Target) -> str:
    if workload.peak_live_bytes < workload.parameter_bytes:
        return _fewer_weights(target)
    tensors = " and ".join(
        f"'{t.name}' ({_mib(t.length_bytes)})" for t in workload.peak_tensors[:2]
    )
    return f"reduce activations: the peak is at node '{workload.peak_operation}' with {tensors}"


def _fewer_weights(target: Target) -> str:
    if target.precision == "int8":
        return "fewer weights"
    return "fewer weights, or INT8, which takes a quarter for each"


def _mib(length_bytes: int) -> str:
    mib = length_bytes / MIB
    return f"{mib:,.0f} MiB" if mib >= WHOLE_MIB else f"{mib:.2g} MiB"
