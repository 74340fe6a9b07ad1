# SPDX-License-Identifier: Apache-2.0
"""Which inputs somebody should look at: pure, from the reference of the bundle.

An answer is uncertain where its confidence is lower than nearly all answers to
the training inputs were. An input is out of range where a feature of it is
missing or outside all that the training inputs had. One row is judged at a time.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.manifest import Reference
from insight_edge.documents.steps import Feature
from insight_edge.runtime.observation import Observation
from insight_edge.stats.grid import Grid
from insight_edge.transforms.features import extract

UNCERTAIN_SHARE = 0.1
"""At most so many of the training inputs were answered with less confidence than the limit."""

Tensors = Mapping[str, NDArray[Any]]


class Suspect(NamedTuple):
    """Why an input should be looked at.

    Attributes:
        score: confidence where it is uncertain, else the share of features out of range.
    """

    reason: Literal["uncertain", "out-of-range"]
    score: float


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """What makes an input suspect.

    Attributes:
        limits: of each confidence that is observed: less is uncertain.
    """

    observation: Observation
    limits: tuple[tuple[Feature, float], ...]

    def judge(self, observed: Tensors, outputs: Tensors) -> Suspect | None:
        """Return why one row is suspect, if it is; out of range comes before uncertain.

        Args:
            observed: what input features read, one row.
            outputs: after post-processing, one row.
        """
        return self._out_of_range(observed) or self._uncertain(outputs)

    def _out_of_range(self, observed: Tensors) -> Suspect | None:
        side = self.observation.inputs
        if side is None:
            return None
        row = side.look(observed, 0)[0]  # any sample of it will do
        with np.errstate(all="ignore"):
            cell = (row - side.grid.low) / side.grid.cell
        share = float(np.mean(~((cell >= 0) & (cell < side.grid.cells))))
        return Suspect("out-of-range", share) if share else None

    def _uncertain(self, outputs: Tensors) -> Suspect | None:
        for feature, limit in self.limits:
            confidence = float(extract([feature], outputs)[0, 0])
            if confidence < limit:
                return Suspect("uncertain", confidence)
        return None


def suspicion_from_reference(observation: Observation, reference: Reference | None) -> Suspicion:
    """Return what makes an input suspect to a bundle; nothing does without a reference."""
    side = observation.outputs
    if side is None or reference is None:
        return Suspicion(observation=observation, limits=())
    return Suspicion(
        observation=observation,
        limits=tuple(
            (feature, _lower_limit(reference, side.grid, feature.name))
            for feature in side.features
            if feature.measure == "confidence"
        ),
    )


def _lower_limit(reference: Reference, grid: Grid, name: str) -> float:
    """Return where the first bin begins that is not among the least confident."""
    document = reference.summary
    counts = np.cumsum(document.bins[document.names.index(name)])
    first = int((counts <= UNCERTAIN_SHARE * counts[-1]).sum()) if counts[-1] else 0
    column = grid.names.index(name)
    start = int(np.searchsorted(grid.lookup[column], first))
    return float(grid.low[column] + start * grid.cell[column])
