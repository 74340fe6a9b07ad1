# SPDX-License-Identifier: Apache-2.0
"""When what disturbed a measurement was too much: pure, from its noise."""

from collections.abc import Iterator
from typing import Final

from insight_edge.bench.doubt import Doubt
from insight_edge.documents.evidence import Noise

MAX_CLOCK_DROP: Final = 0.15
"""More than boost clocks vary by themselves under a steady load."""

MAX_HELD_BACK_SHARE: Final = 0.01
"""A control group is held back for tens of milliseconds at a time: at 1 % it makes the p99."""

MAX_STEAL_SHARE: Final = 0.05
MAX_WAITED_SHARE: Final = 0.05
"""Either moves a mean by as much, which is half of what a p50 may be uncertain by."""

MAX_FAULT_SHARE: Final = 0.01
"""Inferences with a page read from a disk: with one in a hundred the p99 is that of the disk."""

MAX_MEMORY_PRESSURE: Final = 0.10
"""Share of the time in which some program waited for memory; an idle machine has none."""


def disturbances(noise: Noise, iterations: int) -> tuple[Doubt, ...]:
    """Return the doubts that noise makes about a measurement of so many inferences."""
    return (
        *(Doubt("THROTTLED", reason) for reason in _throttled(noise)),
        *(Doubt("NOISY", reason) for reason in _noisy(noise, iterations)),
    )


def _throttled(noise: Noise) -> Iterator[str]:
    if _over(noise.clock_drop, MAX_CLOCK_DROP):
        yield f"the clock fell by {noise.clock_drop:.0%}"
    if _over(noise.throttles, 0):
        yield f"processors were throttled {noise.throttles} times"
    if _over(noise.held_back_share, MAX_HELD_BACK_SHARE):
        yield f"its control group was held back for {noise.held_back_share:.0%} of the time"


def _noisy(noise: Noise, iterations: int) -> Iterator[str]:
    if noise.steal_share > MAX_STEAL_SHARE:
        yield f"the hypervisor took {noise.steal_share:.0%} of the time"
    if _over(noise.waited_share, MAX_WAITED_SHARE):
        yield f"it waited for a processor {noise.waited_share:.0%} of the time"
    if _over(noise.major_faults, MAX_FAULT_SHARE * iterations):
        yield f"memory was read back from a disk {noise.major_faults} times"
    if _over(noise.memory_pressure, MAX_MEMORY_PRESSURE):
        yield f"programs waited for memory {noise.memory_pressure:.0%} of the time"


def _over(value: float | None, limit: float) -> bool:
    return value is not None and value > limit
