# SPDX-License-Identifier: Apache-2.0
"""What monitoring tells: assessed windows, alarms, and both in a picture. Values only."""

import math
from dataclasses import dataclass
from datetime import datetime

from insight_edge.stats.assess import Verdict
from insight_edge.stats.finding import Finding


@dataclass(frozen=True, kw_only=True)
class FeatureFigures:
    """How one feature of a window differs from the reference; pairs are reference, window.

    Attributes:
        noun: what people call it.
        side: `input` or `output`.
        kind: what is different: missing, outside, classes, mean, spread, shape.
        tested: whether the verdict hangs on it.
        score: population stability index.
        js, ks: Jensen-Shannon and Kolmogorov-Smirnov distance, 0 to 1.
        p_value: of a chi-square test that takes rows as independent, for the order only.
        false_discovery_rate: the same, adjusted for the number of features.
        mean, std: of the values present; None where there were none.
        missing, outside: rows without a value, and below or above the grid.
    """

    name: str
    noun: str
    side: str
    kind: str
    tested: bool
    score: float
    js: float
    ks: float
    p_value: float
    false_discovery_rate: float
    mean: tuple[float | None, float | None]
    std: tuple[float | None, float | None]
    missing: tuple[int, int]
    outside: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class WindowAssessment:
    """What a segment of telemetry says of its bundle.

    Attributes:
        number: of the segment.
        opened_s, closed_s: of the segment.
        devices: rows by device.
        limit_rows: of the windows that the limit was drawn for.
        features: those that differ most first.
    """

    tenant: str
    bundle: str
    number: int
    model: str
    version: int
    opened_s: float
    closed_s: float
    rows: int
    devices: dict[str, int]
    verdict: Verdict
    score: float | None
    limit: float | None
    limit_rows: int | None
    sentence: str
    features: tuple[FeatureFigures, ...]
    assessed: datetime


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Something that is wrong with a bundle, or was.

    Attributes:
        first: number of the segment that drifted first.
        since_s: when that was opened, seconds since the epoch by the devices' clocks.
        segment: of the one that opened it.
        last: of the newest one when it was closed; None while it is open.
        sentence: what is wrong, with how right answers are as far as that is known by now.
        closed_by: `monitoring`, or a person.
        reason: why it was closed.
    """

    tenant: str
    id: int
    bundle: str
    model: str
    version: int
    opened: datetime
    first: int
    since_s: float
    segment: int
    last: int | None
    sentence: str
    closed: datetime | None
    closed_by: str | None
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class HeatWindow:
    """A column of a heat map."""

    number: int
    opened_s: float
    closed_s: float
    rows: int
    verdict: Verdict
    score: float | None
    limit: float | None
    sentence: str


@dataclass(frozen=True, kw_only=True)
class HeatFeature:
    """A row of a heat map."""

    name: str
    noun: str
    side: str
    tested: bool


@dataclass(frozen=True, kw_only=True)
class Heatmap:
    """Scores of a bundle, by feature and window.

    Attributes:
        windows: the oldest first.
        scores: a row a feature, a column a window; None where a window has no such feature.
    """

    bundle: str
    features: tuple[HeatFeature, ...]
    windows: tuple[HeatWindow, ...]
    scores: tuple[tuple[float | None, ...], ...]


def figures_of(finding: Finding) -> FeatureFigures:
    """Return what is kept of a finding."""
    before, after = finding.reference, finding.observed
    return FeatureFigures(
        name=finding.trait.name,
        noun=finding.trait.noun,
        side=finding.trait.side,
        kind=finding.kind.value,
        tested=finding.tested,
        score=finding.score,
        js=finding.js,
        ks=finding.ks,
        p_value=finding.p_value,
        false_discovery_rate=finding.false_discovery_rate,
        mean=(_finite(before.mean), _finite(after.mean)),
        std=(_finite(before.std), _finite(after.std)),
        missing=finding.missing,
        outside=finding.outside,
    )


def heatmap_of(bundle: str, windows: tuple[WindowAssessment, ...]) -> Heatmap:
    """Return the picture of windows, the oldest first; features in the order they were named."""
    features = {
        one.name: HeatFeature(name=one.name, noun=one.noun, side=one.side, tested=one.tested)
        for window in windows
        for one in sorted(window.features, key=lambda one: (one.side, one.name))
    }
    scores = [{one.name: one.score for one in window.features} for window in windows]
    return Heatmap(
        bundle=bundle,
        features=tuple(features.values()),
        windows=tuple(
            HeatWindow(
                number=window.number,
                opened_s=window.opened_s,
                closed_s=window.closed_s,
                rows=window.rows,
                verdict=window.verdict,
                score=window.score,
                limit=window.limit,
                sentence=window.sentence,
            )
            for window in windows
        ),
        scores=tuple(tuple(column.get(name) for column in scores) for name in features),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
