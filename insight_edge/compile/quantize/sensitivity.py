# SPDX-License-Identifier: Apache-2.0
"""What quantising each layer alone does to a model's answers, and which to leave in float.

A layer is an operator that multiplies matrices with what follows it up to the
next. A backend measures, on calibration rows and never on those that artifacts
are proven on; the ladder of how many layers to leave out is worked out here.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.codec import Document, Versioned
from insight_edge.documents.evidence import FloatLayer

SENSITIVITY_FILE = "sensitivity.json"

MAX_LAYERS = 32
"""Measured one by one; in a larger model neighbours are taken together."""

MAX_ROWS = 16
"""Calibration batches that a layer is measured on: a ranking needs fewer than scales do."""

NO_NOISE_DB = 200.0
"""Stands for answers that are the same; float32 itself ends at about 150 dB."""

ENOUGH_DB = 30.0
"""With so little noise left over by the others, no more layers need to stay in float."""


class Layer(Document, frozen=True, kw_only=True):
    """One layer and what became of the answers when it alone was quantised.

    Attributes:
        name, op: of its first operator that multiplies matrices.
        members: names of all its operators, as the backend's toolchain has them.
        why: what makes 8 bits too few for it, as far as that can be seen.
        sqnr_db: of the worst output.
    """

    name: str
    op: str
    members: tuple[str, ...]
    why: str
    sqnr_db: float

    @property
    def told(self) -> FloatLayer:
        """The layer as evidence."""
        return FloatLayer(name=self.name, op=self.op, why=self.why, sqnr_db=self.sqnr_db)


class Sensitivity(Versioned, frozen=True, kw_only=True):
    """All layers, the most harmful first."""

    layers: tuple[Layer, ...]


def grouped(operators: Sequence[tuple[str, bool]], most: int = MAX_LAYERS) -> list[list[str]]:
    """Return the names of operators, layer by layer.

    Args:
        operators: name, and whether it multiplies matrices, in the order of the graph.
        most: layers; neighbours are joined where there are more.
    """
    layers: list[list[str]] = []
    begun = False
    for name, multiplies in operators:
        if not layers or (multiplies and begun):
            layers.append([])
        begun = begun or multiplies
        layers[-1].append(name)
    width = -(-len(layers) // most) or 1
    starts = range(0, len(layers), width)
    return [list(chain.from_iterable(layers[start : start + width])) for start in starts]


def worst_sqnr_db(
    source: Sequence[Mapping[str, NDArray[np.generic]]],
    found: Sequence[Mapping[str, NDArray[np.generic]]],
) -> float:
    """Return the least signal-to-noise ratio of any output over some batches, in dB."""
    names = source[0].keys()
    return min(_sqnr_db([s[name] for s in source], [f[name] for f in found]) for name in names)


def ladder(sensitivity: Sensitivity) -> list[int]:
    """Return how many of the worst layers to leave in float, the safest number first.

    At most half of the layers, or INT8 would be worth little; the noise of layers is taken to
    add up. Below the first number they are powers of two.
    """
    noise = [10 ** (-layer.sqnr_db / 10) for layer in sensitivity.layers]
    allowed = 10 ** (-ENOUGH_DB / 10)
    half = len(noise) // 2
    safest = next((count for count in range(1, half) if sum(noise[count:]) <= allowed), half)
    powers = [2**power for power in range(safest.bit_length()) if 2**power < safest]
    return [count for count in (safest, *reversed(powers)) if count]


def _sqnr_db(source: Sequence[NDArray[np.generic]], found: Sequence[NDArray[np.generic]]) -> float:
    signal = noise = 0.0
    for wanted, answer in zip(source, found, strict=True):
        left, right = wanted.astype(np.float64), answer.astype(np.float64)
        signal += float(np.square(left).sum())
        noise += float(np.square(left - right).sum())
    if noise == 0:
        return NO_NOISE_DB
    if not math.isfinite(noise) or signal == 0:
        return -NO_NOISE_DB
    return max(-NO_NOISE_DB, min(NO_NOISE_DB, 10 * math.log10(signal / noise)))
