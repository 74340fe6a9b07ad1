# SPDX-License-Identifier: Apache-2.0
"""What INT8 depends on with every backend: the operators it helps, and the CPU's arithmetic."""

from collections.abc import Collection

from insight_edge.compile.job import BuildJob
from insight_edge.documents.workload import Workload
from insight_edge.selection.footprint import SHRINKING

QUANTIZABLE = SHRINKING | {"LSTM"}

VNNI = ("avx512_vnni", "avx_vnni")
"""x86 extensions that sum products of 8-bit numbers in 32 bits."""

DOT_PRODUCT = "asimddp"
"""The ARM extension that does."""


def recurrent_refusal(workload: Workload, unquantised: tuple[str, ...]) -> str | None:
    """Return why INT8 gains nothing where recurrent operators that stay FP32 do most of the work.

    Args:
        workload: of the model.
        unquantised: the recurrent operators that the quantiser leaves alone.
    """
    left = sum(o.flops for o in workload.operations if o.op in unquantised)
    if 2 * left <= workload.flops:
        return None
    ops = "/".join(sorted({o.op for o in workload.operations if o.op in unquantised}))
    return f"does not quantise {ops}, {left / workload.flops:.0%} of the arithmetic here"


def nothing_to_quantize(workload: Workload) -> str | None:
    """Return why INT8 gains nothing where no operator multiplies matrices."""
    if QUANTIZABLE & {operation.op for operation in workload.operations}:
        return None
    return "the model has no operator that INT8 makes faster"


def vnni(job: BuildJob) -> tuple[str, ...]:
    """Return the extension that an artifact with full 8-bit weights demands, if it is there."""
    return tuple(name for name in VNNI if name in job.isa)[:1]


def saturates(job: BuildJob) -> bool:
    """Return whether sums of 8-bit products overflow on the target.

    x86 without VNNI adds pairs of products in 16 bits: 255 x 127 x 2 does not fit. Weights of
    7 bits do.
    """
    return job.arch == "x86_64" and not vnni(job)


def slow_because(arch: str, isa: Collection[str]) -> str | None:
    """Return what a processor lacks that makes INT8 fast, or None."""
    if arch == "x86_64" and not set(VNNI) & set(isa):
        return "no VNNI on this processor"
    if arch == "aarch64" and DOT_PRODUCT not in isa:
        return "no dot product instructions on this processor"
    return None
