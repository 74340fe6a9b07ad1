# SPDX-License-Identifier: Apache-2.0
"""Whether a measurement is slower than a baseline of earlier runs: pure.

Runs of different days are no pairs, and the interval of one run knows nothing of other days. So a
run is one point, and what tells is the spread between the runs of the baseline: the interval is
Student's for one more run of the same kind. What is proven is that this one is none of the kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import fmean, stdev
from typing import Final, Literal

from insight_edge.bench.comparison import ALPHA
from insight_edge.bench.conditions import Conditions, conditions_of, differences, software_of
from insight_edge.documents.evidence import Interval, Measurement
from insight_edge.documents.result import BenchResult
from insight_edge.errors import MeasurementError
from insight_edge.stats.interval import student_quantile

MIN_RUNS: Final = 5
"""Four degrees of freedom: with fewer the interval is wider than what is looked for."""

_LARGEST: Final = 700.0
"""Logarithm of a ratio that a file may hold and that is still a number."""

ChangeVerdict = Literal["REGRESSION", "no regression", "faster"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """How a measurement stands to a baseline.

    Attributes:
        baseline_ms, now_ms: median latency, offline the mean; of the baseline over its runs.
        ratio: now over the baseline, with the interval in which one more run of the baseline's
            kind would lie.
        runs: of the baseline.
        over_s: from its first to its last.
        conditions: then as now.
        updated: software that has changed since its last.
        verdict: REGRESSION where it is slower beyond the interval and beyond what is the same.
    """

    baseline_ms: float
    now_ms: float
    ratio: Interval
    runs: int
    over_s: float
    conditions: Conditions
    updated: tuple[str, ...]
    verdict: ChangeVerdict


def change_since(
    baseline: Sequence[BenchResult], now: BenchResult, *, compared: int, same: float
) -> Change:
    """Return how a result stands to earlier ones of the same model and target.

    Args:
        baseline: results in any order; those that are not VALID do not count.
        now: what was measured.
        compared: how many are compared at once; all together are called slower by chance at most
            once in twenty times.
        same: the share that a difference has to exceed.

    Raises:
        MeasurementError: the baseline has none of it, or too few, or under other conditions.
    """
    runs = _comparable(baseline, now)
    logs = [log(_value_ms(one.measurement)) for one in runs]
    now_ms, centre, confidence = _value_ms(now.measurement), fmean(logs), 1 - ALPHA / compared
    half = student_quantile(len(runs) - 1, confidence) * stdev(logs) * sqrt(1 + 1 / len(runs))
    off = log(now_ms) - centre
    value, low, high = (exp(min(end, _LARGEST)) for end in (off, off - half, off + half))
    ratio = Interval(value=value, low=low, high=high, confidence=confidence)
    times = [one.at_s for one in runs]
    return Change(
        baseline_ms=exp(centre),
        now_ms=now_ms,
        ratio=ratio,
        runs=len(runs),
        over_s=max(times) - min(times),
        conditions=conditions_of(now),
        updated=_updated(max(runs, key=lambda one: one.at_s), now),
        verdict=_verdict(ratio, same),
    )


def _comparable(baseline: Sequence[BenchResult], now: BenchResult) -> list[BenchResult]:
    what = f"{now.model.name} as {now.target.token}"
    known = [one for one in baseline if _key(one) == _key(now)]
    if not known:
        raise MeasurementError(f"the baseline has no measurement of {what}")
    alike = [one for one in known if conditions_of(one) == conditions_of(now)]
    if not alike:
        latest = max(known, key=lambda one: one.at_s)
        told = "; ".join(differences(conditions_of(latest), conditions_of(now)))
        raise MeasurementError(
            f"{what} was measured under other conditions: {told}",
            hint="measure as the baseline was, or make one under these conditions",
        )
    runs = [one for one in alike if one.measurement.verdict == "VALID"]
    if len(runs) < MIN_RUNS:
        raise MeasurementError(
            f"the baseline has {len(runs)} VALID runs of {what}, {MIN_RUNS} are needed",
            hint="how runs differ is not known from fewer: bench -o adds one, best on several days",
        )
    return runs


def _key(result: BenchResult) -> tuple[str, str]:
    return result.model.name, result.target.token


def _value_ms(found: Measurement) -> float:
    value_ms = found.mean_ms if found.scenario == "offline" else found.p50_ms.value
    return min(max(value_ms, 1e-6), 1e12)


def _updated(before: BenchResult, now: BenchResult) -> tuple[str, ...]:
    was, is_ = software_of(before), software_of(now)
    return tuple(
        f"{name} {was.get(name)} → {is_[name]}" for name in is_ if was.get(name) != is_[name]
    )


def _verdict(ratio: Interval, same: float) -> ChangeVerdict:
    if ratio.low > 1 and ratio.value > 1 + same:
        return "REGRESSION"
    return "faster" if ratio.high < 1 and ratio.value < 1 / (1 + same) else "no regression"
