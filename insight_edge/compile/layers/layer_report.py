# SPDX-License-Identifier: Apache-2.0
"""What was found of an artifact's layers, and how: what it is evidence of."""

from dataclasses import dataclass
from typing import Literal

from insight_edge.compile.layers.divergence import LayerError

Found = Literal["read", "matched", "outputs", "rebuilt"]
"""Read from the artifact itself; found in it by values, where it names nothing, so that the layer
may be another that is fused with the one named; its outputs alone; or of parts of the model, built
again as the artifact was, which tells of the compiler and not of the artifact's own bytes."""


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """How far an artifact is from its source model, layer by layer.

    Attributes:
        errors: after each layer that was compared, in the source model's order.
        first: the first that diverged; None where none did.
        found: how.
        why: what could not be said and why, in words; empty where nothing is missing.
        builds: parts of the model that were built for it.
        layers: that the source model has, of those that can be compared.
    """

    errors: tuple[LayerError, ...]
    first: LayerError | None
    found: Found
    why: str = ""
    builds: int = 0
    layers: int = 0
