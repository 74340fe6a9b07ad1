# SPDX-License-Identifier: Apache-2.0
import math
from typing import Any

import pytest

from insight_edge.bench.exchange import Preparation
from insight_edge.bench.scenarios.scenario import SINGLE_STREAM, Name, Scenario
from insight_edge.bench.warming import CAP_S
from insight_edge.cli.bench_flags import (
    compared_percent_from,
    cpus_from,
    duration_from,
    launches_from,
    percents_from,
    preparation_from,
    same_from,
    samples_from,
    scenario_from_flags,
    sustained_from,
    threads_from,
)
from insight_edge.errors import ConfigurationError

NONE: dict[str, Any] = dict.fromkeys(("streams", "rate", "period_ms", "deadline_ms"))


def scenario(name: Name, **flags: float) -> Scenario:
    return scenario_from_flags(name, **NONE | flags)


def test_flags_make_the_scenario_they_name() -> None:
    assert scenario("single-stream") == SINGLE_STREAM
    assert scenario("multi-stream").rows == 8
    assert scenario("multi-stream", streams=3).rows == 3
    assert scenario("offline").rows == 32
    server = scenario("server", rate=250.0, deadline_ms=20.0)
    assert (server.rate_per_s, server.deadline_s, server.rows) == (250, 0.02, 1)
    assert server.waiting > 1
    sensor = scenario("sensor", period_ms=40.0)
    assert (sensor.rate_per_s, sensor.deadline_s, sensor.waiting) == (25, 0.04, 1)
    assert scenario("sensor", period_ms=40.0, deadline_ms=15.0).deadline_s == 0.015


@pytest.mark.parametrize(
    ("name", "flags", "said"),
    [
        ("server", {}, "--scenario server needs --rate"),
        ("sensor", {}, "--scenario sensor needs --period"),
        ("server", {"rate": -5.0}, "--rate is -5, more than 0 is needed"),
        ("server", {"rate": float("inf")}, "--rate is inf"),
        ("server", {"rate": float("nan")}, "--rate is nan"),
        ("sensor", {"period_ms": 0.0}, "--period is 0"),
        ("sensor", {"period_ms": 5.0, "deadline_ms": -1.0}, "--deadline is -1"),
        ("single-stream", {"rate": 5.0}, "--rate is not of --scenario single-stream"),
        ("offline", {"deadline_ms": 5.0}, "--deadline is not of --scenario offline"),
        ("sensor", {"period_ms": 5.0, "streams": 2}, "--streams is not of --scenario sensor"),
        ("offline", {"streams": 0}, "--streams is 0"),
        ("offline", {"streams": 10**7}, "at most 65536 rows"),
    ],
)
def test_flag_that_cannot_be_meant_is_one_line(
    name: Name, flags: dict[str, float], said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        scenario(name, **flags)
    assert said in str(caught.value)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e6, float("nan"), float("inf")])
def test_duration_is_some_seconds(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="--duration is"):
        duration_from(seconds, SINGLE_STREAM, None)
    assert duration_from(2.5, SINGLE_STREAM, None) == 2.5
    assert duration_from(None, SINGLE_STREAM, None) is None


def test_sustained_run_is_some_seconds_without_a_rate() -> None:
    assert sustained_from(None, scenario("server", rate=1.0)) is None
    assert sustained_from(60.0, SINGLE_STREAM) == 60
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="--sustained is"):
            sustained_from(seconds, SINGLE_STREAM)
    with pytest.raises(ConfigurationError, match="not of --scenario server"):
        sustained_from(5.0, scenario("server", rate=1.0))


@pytest.mark.parametrize(
    ("rate", "seconds", "iterations", "said"),
    [
        (1e6, 1000.0, None, "1e+09 queries would be due"),
        (1e9, None, None, "1e+10 queries would be due"),
        (5.0, None, 10**8, "take more than a day"),
        (1e6, None, 10**8, "1e+08 queries would be due"),
        (1e-6, None, None, "50 queries at 1e-06 a second take more than a day"),
        (100.0, 10.0, None, None),
        (0.01, 100.0, None, None),
        (100.0, None, None, None),
    ],
)
def test_schedule_that_nobody_can_wait_for_or_hold_is_refused(
    rate: float, seconds: float | None, iterations: int | None, said: str | None
) -> None:
    server = scenario("server", rate=rate)
    if said is None:
        assert duration_from(seconds, server, iterations) == seconds
        return
    with pytest.raises(ConfigurationError) as caught:
        duration_from(seconds, server, iterations)
    assert said in str(caught.value)


def test_threads_are_one_for_each_processor_that_is_named() -> None:
    assert threads_from(None, (), 4) is None
    assert threads_from(None, (0, 2), 4) == 2
    assert threads_from(None, (0, 1, 2), 2) == 2
    assert threads_from(0, (0, 2), 4) == 0


def test_cpus_are_numbers_and_ranges() -> None:
    assert cpus_from(None, {0, 1}) == ()
    assert cpus_from("3, 0-1", {0, 1, 2, 3}) == (0, 1, 3)


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "0,,1", "2-1", "4", "0-9", "999999999"])
def test_cpus_that_are_not_there_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--cpus is"):
        cpus_from(text, {0, 1, 2, 3})


def test_percentiles_are_told_in_rising_order_and_once() -> None:
    assert percents_from(None) == ()
    assert percents_from("99.9, 50,99.9") == (50.0, 99.9)


@pytest.mark.parametrize("text", ["", "p99", "0", "100", "-1", "nan", "90,", "inf"])
def test_percentile_outside_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--percentile has"):
        percents_from(text)


def test_warm_up_is_a_time_or_as_long_as_it_takes() -> None:
    rows = scenario("offline", streams=4)
    assert preparation_from("auto", rows) == Preparation(rows=4, warm_up_s=CAP_S)
    assert preparation_from("2.5", rows) == Preparation(rows=4, warm_up_s=2.5, whole=True)
    for text in ("", "soon", "-1", "nan", "inf"):
        with pytest.raises(ConfigurationError, match="--warmup is"):
            preparation_from(text, rows)


@pytest.mark.parametrize(("text", "kept"), [(50.0, ()), (99.0, (99.0,)), (99.9, (99.9,))])
def test_median_is_compared_without_more_queries(text: float, kept: tuple[float, ...]) -> None:
    assert compared_percent_from(text) == kept


@pytest.mark.parametrize(
    ("check", "value"),
    [(compared_percent_from, 0.0), (same_from, 100.0), (same_from, math.nan),
     (launches_from, 10**9), (samples_from, -1)],
)  # fmt: skip
def test_number_that_cannot_be_meant_is_refused(check: Any, value: float) -> None:
    with pytest.raises(ConfigurationError, match=r"--\w+ (is|has)"):
        check(value)


def test_warm_up_that_nobody_asks_for_is_brief() -> None:
    assert preparation_from(None, SINGLE_STREAM) == Preparation()
