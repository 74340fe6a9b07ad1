# SPDX-License-Identifier: Apache-2.0
"""What of a launch is compared, and what speaks against comparing it: pure."""

from collections.abc import Iterator, Sequence

import numpy as np

from insight_edge.bench.comparison import Values
from insight_edge.bench.disturbance import disturbances
from insight_edge.bench.percentiles import name_of, percentile_doubts
from insight_edge.bench.scenarios.load import load_doubts
from insight_edge.bench.scenarios.scenario import Scenario
from insight_edge.bench.timing import Timed
from insight_edge.documents.evidence import Measurement
from insight_edge.errors import MeasurementError

MEDIAN = 50.0


def statistic_name(scenario: Scenario, percent: float) -> str:
    """Return what of latencies is compared: of throughput it is the mean, or it is a percentile."""
    return "mean" if scenario.name == "offline" and percent == MEDIAN else name_of(percent)


def values_of(timed: Timed, scenario: Scenario, percent: float = MEDIAN) -> Values:
    """Return in ms what is compared of a subject in one launch, more than 0.

    Of each round the median, or offline the mean. Of the whole launch where a single round says
    too little: another percentile, or rows that are due at a rate and wait for one another.

    Raises:
        MeasurementError: there are too few inferences for the percentile, or it lies among those
            that were dropped; or the clock is too coarse.
    """
    measurement = timed.measurement
    if percent != MEDIAN:
        values = np.array([_percentile_ms(measurement, percent)])
    elif scenario.rate_per_s is not None:
        values = np.array([measurement.p50_ms.value])
    else:
        statistic = np.mean if scenario.name == "offline" else np.median
        values = np.array([float(statistic(block)) / 1e6 for block in timed.blocks])
    if not (values > 0).all():
        raise MeasurementError(
            "the clock is too coarse to compare such short queries",
            hint="--scenario offline with more --streams takes longer ones",
        )
    return values


def _percentile_ms(measurement: Measurement, percent: float) -> float:
    found = measurement.percentiles_ms.get(name_of(percent))
    if found is None:
        asked = measurement.iterations + (measurement.load.dropped if measurement.load else 0)
        (doubt,) = percentile_doubts(asked, (percent,), measurement.percentiles)
        raise MeasurementError(
            f"{name_of(percent)} cannot be compared: {doubt.reason}",
            hint="ask for more --iterations or a longer --duration, or for a lower --rate",
        )
    return found


def why_invalid(launches: Sequence[Sequence[Timed]], scenario: Scenario) -> tuple[str, ...]:
    """Return why nothing may be said: a rate that was not held, once for all launches."""
    doubts = (
        doubt
        for one in _measurements(launches)
        if one.load is not None
        for doubt in load_doubts(scenario, one.load, one.p50_ms.value)
    )
    return tuple(doubt.reason for doubt in doubts if doubt.verdict == "INVALID")[:1]


def what_disturbed(launches: Sequence[Sequence[Timed]]) -> tuple[str, ...]:
    """Return that launches were disturbed, with the first that was; nothing where none was."""
    found = [reasons for launch in launches if (reasons := _disturbances(launch))]
    if not found:
        return ()
    return (f"{len(found)} of {len(launches)} launches were disturbed, the first: {found[0][0]}",)


def may_hide(launches: Sequence[Sequence[Timed]], statistic: str) -> bool:
    """Return whether disturbances may be most of what was measured: of more than half the launches.

    A median is what it is while fewer than half of the calls are disturbed, unlike a mean or a
    tail.
    """
    disturbed = sum(bool(_disturbances(launch)) for launch in launches)
    return statistic != name_of(MEDIAN) and 2 * disturbed > len(launches)


def _disturbances(launch: Sequence[Timed]) -> list[str]:
    return [
        doubt.reason
        for one in _measurements([launch])
        for doubt in disturbances(one.noise, one.iterations)
    ]


def _measurements(launches: Sequence[Sequence[Timed]]) -> Iterator[Measurement]:
    return (one.measurement for launch in launches for one in launch)
