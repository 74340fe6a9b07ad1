# SPDX-License-Identifier: Apache-2.0
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from insight_edge.bench.disturbance import MAX_CLOCK_DROP, MAX_STEAL_SHARE
from insight_edge.bench.measurement import Taken, measurement_from_blocks
from insight_edge.bench.scenarios.scenario import Scenario
from insight_edge.bench.verdict import (
    MAX_INTERVAL_SHARE,
    MIN_ITERATIONS,
    MIN_ROUNDS,
    judge,
    round_spread,
)
from insight_edge.documents.evidence import Interval, Measurement, Noise
from insight_edge.documents.measured import Load, WarmUp

Block = NDArray[np.int64]
Launch = list[Block]

CALL_NS = 100_000
STEADY = Interval(value=1.0, low=0.99, high=1.01)


def noise(**changes: Any) -> Noise:
    quiet: dict[str, Any] = {
        "load_1min": 0.1,
        "steal_share": 0.0,
        "involuntary_switches": 0,
        "round_spread": 0.0,
    }
    return Noise(**quiet | changes)


def blocks_of(seed: int, rounds: int = 10, size: int = 70, spread: float = 0.01) -> Launch:
    generator = np.random.default_rng(seed)
    shape = rounds, size
    latencies = CALL_NS * (1 + spread * generator.standard_exponential(shape))
    return list(latencies.astype(np.int64))


def measurement(blocks: Any, **changes: Any) -> Measurement:
    fields: dict[str, Any] = {
        "threads": 1,
        "load_ms": 1.0,
        "first_ms": 1.0,
        "peak_rss_bytes": 1,
        "noise": noise(),
    }
    return measurement_from_blocks(blocks, Taken(**fields | changes))


def test_measurement_says_what_the_blocks_hold() -> None:
    blocks = [np.arange(1, 22, dtype=np.int64) * 10**6 for _ in range(6)]
    found = measurement(blocks, bound=True)
    assert found.p50_ms == Interval(value=11, low=11, high=11)
    assert found.mean_ms == 11
    assert (found.iterations, found.rounds, found.threads) == (126, 6, 1)
    assert found.percentiles_ms == {"p90": 19}
    assert (found.kind, found.verdict, found.reasons) == ("bound", "VALID", ())


def test_measurement_without_a_block_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="round"):
        measurement([])


def test_percentile_that_was_asked_for_and_is_not_there_makes_it_invalid() -> None:
    blocks = blocks_of(0, rounds=10, size=70)
    found = measurement(blocks, percents=(75.0, 99.0, 99.9))
    assert list(found.percentiles_ms) == ["p75", "p99"]
    assert (found.verdict, found.reasons) == (
        "INVALID",
        ("p99.9 needs 6636 inferences, 5936 more than there are",),
    )
    assert list(measurement(blocks).percentiles_ms) == ["p90", "p95", "p99"]
    assert measurement(blocks).verdict == "VALID"


def test_what_never_kept_its_level_is_noisy() -> None:
    steady = WarmUp(calls=4, duration_s=10.0, steady=True)
    assert measurement(blocks_of(0), warm_up=steady).verdict == "VALID"
    found = measurement(blocks_of(0), warm_up=replace(steady, steady=False))
    assert (found.verdict, found.reasons) == (
        "NOISY",
        ("not steady after 10 s of warm-up, 4 calls",),
    )


def test_query_without_an_answer_counts_in_percentiles_alone() -> None:
    blocks = [np.where(np.arange(100) < 97, block[:1], np.inf) for block in blocks_of(0)]
    found = measurement(blocks, percents=(90.0, 99.0))
    assert (found.iterations, list(found.percentiles_ms)) == (970, ["p90"])
    assert math.isfinite(found.mean_ms)
    assert found.reasons == ("p99 lies among queries that were dropped",)


def test_throughput_is_of_rows_and_its_width_is_judged_offline() -> None:
    steady = measurement(blocks_of(0), scenario=Scenario(name="offline", rows=4))
    rate = steady.throughput_per_s
    assert rate is not None
    assert rate.value == pytest.approx(4 * 1e3 / steady.mean_ms, rel=0.01)
    assert (steady.verdict, steady.rows) == ("VALID", 4)
    hiccups = [np.append(block, 10**7 * (at % 2)) for at, block in enumerate(blocks_of(0))]
    found = measurement(hiccups, scenario=Scenario(name="offline", rows=4))
    assert found.verdict == "NOISY"
    assert found.reasons[0].startswith("the throughput is known to")
    assert measurement(hiccups).verdict == "VALID"


def test_load_that_was_not_held_makes_it_invalid() -> None:
    server = Scenario(name="server", rate_per_s=100.0, waiting=5)
    load = Load(
        rate_per_s=100.0, offered=700, offered_per_s=100.0, answered=700, dropped=0,
        achieved_per_s=80.0, busy_share=1.25, waiting=5, woke_late_ms=0.0,
    )  # fmt: skip
    found = measurement(blocks_of(0), scenario=server, load=load)
    assert (found.verdict, found.throughput_per_s) == ("INVALID", None)
    assert found.load == load


def test_two_modes_are_told_and_are_no_doubt() -> None:
    assert measurement(blocks_of(0)).modes == ()
    blocks = [np.where(np.arange(70) % 10 < 7, block, 5 * block) for block in blocks_of(0)]
    found = measurement(blocks)
    assert [round(mode.share, 2) for mode in found.modes] == [0.7, 0.3]
    assert [mode.at_ms for mode in found.modes] == pytest.approx([0.1, 0.5], rel=0.05)
    assert found.verdict == "VALID"


def test_percentiles_stand_within_their_intervals() -> None:
    for one in measurement(blocks_of(1)).percentiles:
        assert one.low_ms <= one.value_ms <= one.high_ms
        assert one.value_ms <= one.at_most_ms


@pytest.mark.parametrize(
    ("changes", "verdict", "said"),
    [
        ({}, "VALID", None),
        ({"rounds": MIN_ROUNDS}, "VALID", None),
        ({"rounds": MIN_ROUNDS - 1}, "INVALID", "4 rounds, 5 are needed"),
        ({"iterations": MIN_ITERATIONS - 1}, "INVALID", "49 inferences, 50 are needed"),
        ({"p50": Interval(value=0, low=0, high=0)}, "INVALID", "the clock is too coarse"),
        ({"p50": Interval(value=1, low=0.94, high=1.06)}, "NOISY", "the p50 is known to 12% only"),
        ({"noise": noise(steal_share=0.2)}, "NOISY", "the hypervisor took 20% of the time"),
        ({"noise": noise(clock_drop=0.4)}, "THROTTLED", "the clock fell by 40%"),
        ({"noise": noise(clock_drop=0.4, steal_share=0.2)}, "THROTTLED", "the clock fell by 40%"),
        ({"noise": noise(clock_drop=0.4), "rounds": 1}, "INVALID", "1 rounds, 5 are needed"),
    ],
)
def test_verdict_follows_from_what_disturbed(
    changes: dict[str, Any], verdict: str, said: str | None
) -> None:
    fields: dict[str, Any] = {
        "rounds": 10,
        "iterations": 700,
        "p50": STEADY,
        "noise": noise(),
    }
    assert judge(**fields | changes) == (verdict, () if said is None else (said,))


def test_every_reason_is_told() -> None:
    wide = Interval(value=1, low=0.8, high=1.2)
    assert len(judge(10, 700, wide, noise(steal_share=0.2))[1]) == 2
    assert len(judge(1, 1, STEADY, noise())[1]) == 2


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_verdict_is_valid_exactly_within_all_limits(
    steal: float, drop: float, half_width: float
) -> None:
    p50 = Interval(value=1.0, low=1 - half_width, high=1 + half_width)
    verdict, reasons = judge(10, 700, p50, noise(steal_share=steal, clock_drop=drop))
    within = (
        steal <= MAX_STEAL_SHARE
        and drop <= MAX_CLOCK_DROP
        and p50.high - p50.low <= MAX_INTERVAL_SHARE
    )
    assert (verdict == "VALID") == within == (not reasons)


def test_steady_latencies_are_valid_and_wandering_ones_noisy() -> None:
    assert measurement(blocks_of(0)).verdict == "VALID"
    wandering = [block * (1 + index % 3) for index, block in enumerate(blocks_of(0))]
    assert measurement(wandering).verdict == "NOISY"


def test_round_spread_is_the_slowest_round_over_the_fastest() -> None:
    fast, slow = np.array([10, 10, 90]), np.array([15, 15, 15])
    assert round_spread([slow, fast, slow]) == pytest.approx(0.5)
    assert round_spread([np.zeros(3, np.int64)]) == 0
