# SPDX-License-Identifier: Apache-2.0
"""Ask the engine of a variant what it executes, in the environment that has it."""

from dataclasses import dataclass

from insight_edge.bench.insides import look_inside
from insight_edge.bundle.open import Bundle
from insight_edge.compile.toolchains.environments import device_python
from insight_edge.documents.manifest import Variant
from insight_edge.errors import InsightEdgeError
from insight_edge.runtime.insides import LayerFacts, model_rows


@dataclass(frozen=True, kw_only=True)
class Executed:
    """What a variant executes; `why` it is not known where `layers` is None."""

    layers: tuple[LayerFacts, ...] | None
    why: str = ""


def executed(bundle: Bundle, variant: Variant) -> Executed:
    """Return what a variant executes, or why its engine does not tell."""
    engine = variant.target.backend
    try:
        rows = model_rows(bundle, 1)
        found = look_inside(bundle.path, variant.name, python=device_python(engine), inputs=rows)
    except InsightEdgeError as error:
        return Executed(layers=None, why=f"not known: {error}")
    if found.layers is None:
        return Executed(layers=None, why=f"not known: {engine} does not tell what it executes")
    return Executed(layers=found.layers)
