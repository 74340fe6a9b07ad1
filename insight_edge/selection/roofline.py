# SPDX-License-Identifier: Apache-2.0
"""The least time that a model takes on hardware whose peaks are known: a bound, no forecast.

Pure. Of every operator the longer of two: its arithmetic at the peak of the
precision, and its weights at the bandwidth of memory; operators follow one
another. Activations are left out, since engines fuse operators and keep what
lies between them in caches, and so are as many weights as may stay in one from
one inference to the next. A figure that is not there adds nothing; with none
there is no bound. Arithmetic is what the graph writes out: an algorithm that
multiplies less (Winograd's) can come below.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from insight_edge.documents.workload import Operation

LARGEST_CACHE_BYTES = 2**31
"""No processor has more, taken where the last level is not known."""


@dataclass(frozen=True, kw_only=True)
class Roof:
    """What hardware does at most; None where no figure has a source.

    Attributes:
        ops_per_s: in the precision that is computed in.
        bandwidth_bytes_per_s: of the memory that weights come from.
        cache_bytes: of the last level.
    """

    ops_per_s: float | None = None
    bandwidth_bytes_per_s: float | None = None
    cache_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A latency that is not gone below.

    Attributes:
        counted: what it is made of: `arithmetic`, `weights`.
        costliest: the operator with most of it, and its share.
    """

    latency_ms: float
    counted: tuple[str, ...]
    costliest: Operation
    share: float


def bound(operations: Sequence[Operation], roof: Roof, *, item_share: float = 1.0) -> Bound | None:
    """Return the bound of operators that run one after another, None where nothing is known.

    Args:
        operations: of the model.
        roof: of the hardware.
        item_share: bytes of a weight over those in the workload.
    """
    if not operations or (roof.ops_per_s is None and roof.bandwidth_bytes_per_s is None):
        return None
    streamed = _streamed_share(operations, roof, item_share) * item_share
    times = [_seconds(operation, roof, streamed) for operation in operations]
    total = sum(times)
    if total <= 0:
        return None
    index = max(range(len(times)), key=times.__getitem__)
    return Bound(
        latency_ms=total * 1e3,
        counted=_counted(roof, streamed),
        costliest=operations[index],
        share=times[index] / total,
    )


def _seconds(operation: Operation, roof: Roof, streamed: float) -> float:
    arithmetic = operation.flops / roof.ops_per_s if roof.ops_per_s else 0.0
    bandwidth = roof.bandwidth_bytes_per_s
    weights = operation.parameter_bytes * streamed / bandwidth if bandwidth else 0.0
    return max(arithmetic, weights)


def _streamed_share(operations: Sequence[Operation], roof: Roof, item_share: float) -> float:
    """Return how much of the weights no cache can hold."""
    total = sum(operation.parameter_bytes for operation in operations) * item_share
    cache = LARGEST_CACHE_BYTES if roof.cache_bytes is None else roof.cache_bytes
    return max(0.0, total - cache) / total if total else 0.0


def _counted(roof: Roof, streamed: float) -> tuple[str, ...]:
    weights = bool(roof.bandwidth_bytes_per_s) and streamed > 0
    return (*(["arithmetic"] if roof.ops_per_s else []), *(["weights"] if weights else []))
