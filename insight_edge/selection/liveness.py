# SPDX-License-Identifier: Apache-2.0
"""How much memory tensors take that are alive at once (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Peak:
    """The moment at which most memory is taken.

    Attributes:
        step: its place in the order given; -1 before the first.
        alive: the tensors that are.
    """

    length_bytes: int
    step: int
    alive: frozenset[str]


def peak_live_bytes(
    inputs: Iterable[str],
    outputs: Iterable[str],
    steps: Sequence[tuple[frozenset[str], frozenset[str]]],
    length_bytes: Mapping[str, int],
) -> int:
    """Return the bytes of `peak_live`."""
    return peak_live(inputs, outputs, steps, length_bytes).length_bytes


def peak_live(
    inputs: Iterable[str],
    outputs: Iterable[str],
    steps: Sequence[tuple[frozenset[str], frozenset[str]]],
    length_bytes: Mapping[str, int],
    *,
    within: Sequence[int] = (),
) -> Peak:
    """Return the first moment with the largest sum of tensors alive at once.

    Inputs live from the start and outputs to the end; anything else from the step that
    writes it to the last that reads it. A step's reads and writes are alive together.

    Args:
        inputs: of the graph.
        outputs: of the graph.
        steps: what each reads and writes.
        length_bytes: of the tensors that count; others weigh nothing.
        within: bytes that are alive inside each step besides, where there are such.
    """
    kept = frozenset(outputs)
    last_read = {name: index for index, (reads, _) in enumerate(steps) for name in reads}
    alive = set(inputs)
    live = sum(length_bytes.get(name, 0) for name in alive)
    peak = Peak(length_bytes=live, step=-1, alive=frozenset(alive))
    for index, (reads, writes) in enumerate(steps):
        live += sum(length_bytes.get(name, 0) for name in writes - alive)
        alive |= writes
        taken = live + (within[index] if within else 0)
        if taken > peak.length_bytes:
            peak = Peak(length_bytes=taken, step=index, alive=frozenset(alive))
        dead = {n for n in (reads | writes) & alive if last_read.get(n, -1) <= index} - kept
        live -= sum(length_bytes.get(name, 0) for name in dead)
        alive -= dead
    return peak
