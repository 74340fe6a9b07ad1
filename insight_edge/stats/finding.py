# SPDX-License-Identifier: Apache-2.0
"""What is found of one feature in a window: figures, and which words say them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np

from insight_edge.stats.distance import Counts, contributions

NOUNS: Mapping[str, str] = {
    "mean": "mean",
    "std": "spread",
    "min": "smallest value",
    "max": "largest value",
    "contrast": "contrast",
    "sharpness": "sharpness",
    "confidence": "confidence",
    "margin": "margin",
    "entropy": "entropy",
    "top": "class mix",
}
"""What people call a measure."""

MOVED_DEVIATIONS = 0.25
"""Of the reference: a mean that moved less is not what changed."""


class Kind(StrEnum):
    """What is different about a feature."""

    MISSING = "missing"
    OUTSIDE = "outside"
    CLASSES = "classes"
    MEAN = "mean"
    SPREAD = "spread"
    SHAPE = "shape"


@dataclass(frozen=True, kw_only=True)
class Trait:
    """What a feature is of.

    Attributes:
        name: of the feature.
        measure: e.g. `mean`, `value`, `top`.
        channel: of the tensor; None where it is of all of it.
    """

    name: str
    side: Literal["input", "output"]
    tensor: str
    measure: str
    channel: int | None = None

    @property
    def noun(self) -> str:
        """What people call the feature: `mean of image`, `contrast of image, channel 2`."""
        if self.measure not in NOUNS:
            return self.name
        if self.side == "output":
            return NOUNS[self.measure]
        channel = "" if self.channel is None else f", channel {self.channel}"
        return f"{NOUNS[self.measure]} of {self.tensor}{channel}"


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Of the values present; not finite where there were none."""

    mean: float
    std: float
    minimum: float
    maximum: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Finding:
    """How a feature of a window differs from the reference.

    Attributes:
        tested: whether the verdict hangs on it.
        labels: what its bins are called; of a feature of answers only.
        score: population stability index.
        js: Jensen-Shannon distance, 0 to 1.
        ks: Kolmogorov-Smirnov distance of what is present, by bins, 0 to 1.
        p_value: of a chi-square test that takes rows as independent.
        false_discovery_rate: the same, adjusted for the number of features.
        counts: by cell, of the reference and of the window.
    """

    trait: Trait
    tested: bool
    labels: tuple[str, ...]
    score: float
    js: float
    ks: float
    p_value: float
    false_discovery_rate: float
    reference: Moments
    observed: Moments
    counts: tuple[Counts, Counts]

    @property
    def rows(self) -> int:
        """Of the window."""
        return int(self.counts[1].sum())

    @property
    def missing(self) -> tuple[int, int]:
        """Rows without a value, of the reference and of the window."""
        return int(self.counts[0][-1]), int(self.counts[1][-1])

    @property
    def outside(self) -> tuple[int, int]:
        """Rows below or above the grid, of the reference and of the window."""
        before, after = (int(counts[0] + counts[-2]) for counts in self.counts)
        return before, after

    @property
    def deviations(self) -> float:
        """How far the mean moved, in standard deviations of the reference; 0 where unknown."""
        moved = self.observed.mean - self.reference.mean
        if not np.isfinite(moved) or moved == 0:
            return 0.0
        return (
            moved / self.reference.std if self.reference.std > 0 else float(np.copysign(9, moved))
        )

    @property
    def kind(self) -> Kind:
        """What is different, by the cells that the score is made of."""
        parts = contributions(*self.counts)
        missing, outside = parts[-1], parts[0] + parts[-2]
        inside = parts[1:-2].sum()
        if missing > max(inside, outside):
            return Kind.MISSING
        if outside > max(inside, missing) and self.trait.measure == "value":
            return Kind.OUTSIDE
        if self.labels:
            return Kind.CLASSES
        if abs(self.deviations) >= MOVED_DEVIATIONS:
            return Kind.MEAN
        wider = self.observed.std > 1.25 * self.reference.std
        narrower = self.observed.std < self.reference.std / 1.25
        return Kind.SPREAD if wider or narrower else Kind.SHAPE
