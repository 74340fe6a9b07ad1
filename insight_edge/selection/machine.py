# SPDX-License-Identifier: Apache-2.0
"""What a profile's processor does at most with a target, from the profile's figures.

Where a profile gives no peak it is worked out from cores, clock and the vector
extensions: how many operations such a core begins in a cycle is arithmetic on the
width of its registers and two units that multiply and add (Intel 64 and IA-32
Architectures Optimization Reference Manual; Arm Cortex-A software optimisation guides).
A processor with fewer units does less, which the fitted factors take in. Without a
clock there is no peak, and nothing is predicted. Accelerators are not described here.
"""

from collections.abc import Collection
from dataclasses import dataclass

from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Precision, Target
from insight_edge.selection.roofline import LARGEST_CACHE_BYTES

FLOPS_PER_CYCLE = {"avx512f": 64.0, "fma": 32.0, "avx2": 32.0, "avx": 16.0, "asimd": 16.0}
"""Of FP32 in a core, the first extension that it has."""

PLAIN_FLOPS_PER_CYCLE = 4.0

FASTER: dict[Precision, tuple[frozenset[str], float]] = {
    "fp32": (frozenset(), 1.0),
    "bf16": (frozenset({"avx512_bf16", "amx_bf16", "bf16"}), 2.0),
    "fp16": (frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}), 2.0),
    "int8": (frozenset({"avx512_vnni", "avx_vnni", "asimddp", "i8mm"}), 4.0),
}
"""By which extensions a precision is computed in faster than FP32, and how much."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A processor as costs are worked out for it.

    Attributes:
        device_class: what factors are learned for: the architecture.
        threads: that infer.
        core_ops_per_s: of one core, in the precision that is computed in.
        core_fp32_per_s: the same of FP32, in which some operators stay.
        clock_hz: highest sustained.
        bandwidth_bytes_per_s: of main memory; None where it is not known.
        cache_bytes: of the last level.
        derived: the peak was worked out from the clock.
    """

    device_class: str
    threads: int
    core_ops_per_s: float
    core_fp32_per_s: float
    clock_hz: float
    bandwidth_bytes_per_s: float | None
    cache_bytes: int
    derived: bool


def machine_from_profile(profile: HardwareProfile, target: Target) -> Machine | str:
    """Return what the profile's processor does with a target, or which figure is missing."""
    cpu = profile.cpu
    if cpu.clock_hz is None:
        return "the profile gives no clock of its processor"
    cores = cpu.cores.value
    threads = min(profile.threads or cores, cores)
    derived = flops_per_cycle(cpu.isa.value) * cpu.clock_hz.value
    known = {name: figure.value / cores for name, figure in profile.peak_ops_per_s.items()}
    fp32 = known.get("fp32", derived)
    own = known.get(target.precision, fp32 * speed_up(target.precision, cpu.isa.value))
    bandwidth = profile.dram.bandwidth_bytes_per_s
    cache = cpu.caches.l3_bytes or cpu.caches.l2_bytes
    positive = (fp32, own, cpu.clock_hz.value, 1.0 if bandwidth is None else bandwidth.value)
    if not all(0 < value < float("inf") for value in positive) or threads < 1:
        return "a figure of the profile is not a positive number"
    return Machine(
        device_class=cpu.arch,
        threads=threads,
        core_ops_per_s=own,
        core_fp32_per_s=fp32,
        clock_hz=cpu.clock_hz.value,
        bandwidth_bytes_per_s=None if bandwidth is None else bandwidth.value,
        cache_bytes=LARGEST_CACHE_BYTES if cache is None else cache.value,
        derived=target.precision not in known,
    )


def flops_per_cycle(isa: Collection[str]) -> float:
    """Return the FP32 operations that a core with these extensions begins in a cycle, at most."""
    for name, flops in FLOPS_PER_CYCLE.items():
        if name in isa:
            return flops
    return PLAIN_FLOPS_PER_CYCLE


def speed_up(precision: Precision, isa: Collection[str]) -> float:
    """Return how many times as many operations as FP32 a precision has in a cycle, at most."""
    extensions, times = FASTER[precision]
    return times if extensions & set(isa) else 1.0
