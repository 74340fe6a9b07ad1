# SPDX-License-Identifier: Apache-2.0
"""What a variant takes of memory when it is loaded: as measured, or a bound from its files. Pure.

Whoever decides whether there is room (admission, a swap, a job of the fleet) counts it here.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from insight_edge.documents.evidence import Trial
from insight_edge.documents.manifest import Variant

MEMORY_FACTOR: Final = 3.0
"""Of an artifact's bytes that its engine may take: the file, the weights as it packs them, and
what it computes with."""

ENGINE_BYTES: Final = 64 * 1024 * 1024
"""Of an engine's library, where nothing was measured."""


class Need(NamedTuple):
    """Memory of one loaded variant.

    Attributes:
        origin: `measured` by the compilation, engine and all; a `bound` from the files; or
            `stated` by whoever loads it.
    """

    length_bytes: int
    origin: Literal["measured", "bound", "stated"]


def need_of(variant: Variant, trials: Sequence[Trial]) -> Need:
    """Return what a variant takes.

    A measurement counts the engine's library too, so a second model of an engine is counted
    for more than it takes: the wrong way round would be the end of the process.

    Args:
        variant: of a bundle.
        trials: of the bundle's evidence.
    """
    for trial in trials:
        told = trial.measurement.engine_bytes if trial.measurement else None
        if trial.target == variant.target and told:
            return Need(told, "measured")
    return Need(ENGINE_BYTES + bound_bytes((variant,)), "bound")


def bound_bytes(variants: Sequence[Variant]) -> int:
    """Return the most that artifacts take which are all loaded at once, without their engines."""
    files = sum(entry.length_bytes for variant in variants for entry in variant.files)
    return int(MEMORY_FACTOR * files)
