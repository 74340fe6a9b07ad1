# SPDX-License-Identifier: Apache-2.0
"""A measurement against the runs of a file: under the same conditions, and beyond their spread."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from insight_edge.bench.baseline import MIN_RUNS, change_since
from insight_edge.documents.evidence import Interval
from insight_edge.documents.facts import EngineFacts
from insight_edge.documents.result import BenchResult
from insight_edge.errors import MeasurementError
from tests.golden.record import RESULT

FOUND = replace(RESULT.measurement, verdict="VALID", load=None, scenario="single-stream")


def run(p50_ms: float, at_s: float = 0.0, **changes: Any) -> BenchResult:
    p50 = Interval(value=p50_ms, low=p50_ms, high=p50_ms)
    noise = replace(FOUND.noise, power_mode=changes.pop("power_mode", None))
    of_measurement = {key: changes.pop(key) for key in ("verdict", "threads") if key in changes}
    found = replace(FOUND, p50_ms=p50, noise=noise, **of_measurement)
    return replace(RESULT, measurement=found, at_s=at_s, run=f"{at_s}", **changes)


def runs(seed: int, count: int = 6, spread: float = 0.01) -> list[BenchResult]:
    drawn = np.random.default_rng(seed).standard_normal(count)
    return [run(float(np.exp(spread * z)), at_s=at * 3600.0) for at, z in enumerate(drawn)]


def test_run_beyond_what_runs_of_the_baseline_do_is_a_regression() -> None:
    found = change_since(runs(0), run(1.2), compared=1, same=0.05)
    assert (found.verdict, found.runs, found.over_s) == ("REGRESSION", 6, 5 * 3600.0)
    assert found.ratio.value == pytest.approx(1.2, abs=0.02)
    assert found.ratio.low > 1.1
    assert change_since(runs(0), run(0.8), compared=1, same=0.05).verdict == "faster"
    assert change_since(runs(0), run(1.2), compared=1, same=0.3).verdict == "no regression"
    wide = change_since(runs(0, spread=0.2), run(1.2), compared=1, same=0.05)
    assert wide.verdict == "no regression"
    assert wide.ratio.low < 1 < wide.ratio.high


def test_one_more_run_of_the_same_kind_lies_within_as_often_as_stated() -> None:
    left_out = 0
    for seed in range(600):
        *baseline, now = runs(seed, 7)
        ratio = change_since(baseline, now, compared=1, same=0.001).ratio
        left_out += not ratio.low <= 1 <= ratio.high
    assert 12 <= left_out <= 50, "30 of 600 are expected"


def test_many_compared_at_once_share_the_chance() -> None:
    alone, together = (change_since(runs(0), run(1), compared=n, same=0.05).ratio for n in (1, 5))
    assert together.low < alone.low < alone.high < together.high
    assert together.confidence == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"threads": 7}, "threads: 7 then"),
        ({"power_mode": "nvpmodel 2"}, "power mode: nvpmodel 2 then, none now"),
        ({"cpus": (3,)}, "processors: 3 then, 0,2 now"),
        ({"device": "pi-8"}, "device: pi-8 then"),
        ({"host": replace(RESULT.host, cpu_model="another")}, "machine: another"),
    ],
)
def test_other_conditions_are_refused_and_told(changes: dict[str, Any], said: str) -> None:
    baseline = [run(1, at, **dict(changes)) for at in range(9)]
    with pytest.raises(MeasurementError, match=said):
        change_since(baseline, run(1), compared=1, same=0.05)


def test_too_few_runs_are_refused_and_those_that_are_not_valid_are_none() -> None:
    noisy = [run(1, 10.0 + at, verdict="NOISY") for at in range(9)]
    few = [*runs(0, MIN_RUNS - 1), *noisy]
    with pytest.raises(MeasurementError, match=f"has {MIN_RUNS - 1} VALID runs of "):
        change_since(few, run(1), compared=1, same=0.05)
    other = [replace(one, model=replace(one.model, name="another")) for one in runs(0)]
    with pytest.raises(MeasurementError, match="has no measurement of"):
        change_since(other, run(1), compared=1, same=0.05)


def test_what_was_updated_is_told_and_not_refused() -> None:
    token = RESULT.target.backend
    engines = {token: EngineFacts(name=token, version="99")}
    now = run(1, release="9.9", host=replace(RESULT.host, engines=engines))
    told = change_since(runs(0), now, compared=1, same=0.05).updated
    assert told[0] == "insight-edge 0.1.0 → 9.9"
    assert told[1].endswith("→ 99")


@given(st.lists(st.floats(-1e308, 1e308), min_size=MIN_RUNS, max_size=8), st.floats(-1e308, 1e308))
def test_whatever_a_file_holds_makes_numbers(p50s_ms: list[float], now_ms: float) -> None:
    baseline = [run(p50_ms, at) for at, p50_ms in enumerate(p50s_ms)]
    ratio = change_since(baseline, run(now_ms), compared=1, same=0.05).ratio
    assert 0 <= ratio.low <= ratio.value <= ratio.high < np.inf
