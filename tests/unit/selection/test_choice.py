# SPDX-License-Identifier: Apache-2.0
"""A choice: the cheapest that keeps to the demands, how surely, and what a demand costs."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insight_edge.documents.target import Target
from insight_edge.selection.choice import choose
from insight_edge.selection.latency import Kind, Latency
from insight_edge.selection.option import HOURS_A_YEAR, Demand, Fleet, Option, cost_usd
from insight_edge.selection.pareto import dominates, front
from insight_edge.selection.queueing import response_ms
from insight_edge.selection.sentences import answer, bargain, caveats, cost_told, miss, standing
from tests.fakes.selecting import board

FP32 = Target(backend="onnxruntime", precision="fp32")


def option(
    name: str, ms: float, *, width: float = 1.02, kind: Kind = "measured", **figures: Any
) -> Option:
    high = math.inf if kind == "bound" else ms * width
    low = ms if kind == "bound" else ms / width
    return Option(
        model="m",
        profile=board(name, **figures),
        target=FP32,
        latency=Latency(p50_ms=ms, low_ms=low, high_ms=high, kind=kind, basis="said"),
        memory_bytes=1 << 20,
        fits="yes",
        drop_pp=0.0,
    )


SLOW, FAST = option("slow", 12.0, price=40.0), option("fast", 5.0, price=80.0)
known = st.floats(0.1, 1e3)
maybe = st.none() | known
boards = st.lists(st.tuples(known, maybe, maybe), min_size=1, max_size=6)


def options_of(drawn: list[tuple[float, float | None, float | None]]) -> list[Option]:
    return [
        option(f"b{index}", ms, price=price, power=power)
        for index, (ms, price, power) in enumerate(drawn)
    ]


def test_the_cheapest_that_keeps_to_the_limit_wins_and_the_limit_has_its_price() -> None:
    found = choose([SLOW, FAST], Demand(max_latency_ms=10.0))
    assert found.winner is not None
    assert (found.winner.option, found.verdict) == (FAST, "chosen")
    assert [bargain(one) for one in found.relaxed] == [
        "2 ms more of latency buys slow onnxruntime:fp32 at 50% less"
    ]
    both = choose([SLOW, FAST], Demand(max_latency_ms=20.0))
    assert both.winner is not None
    assert both.winner.option is SLOW
    assert both.margin == pytest.approx(1.0)
    assert "Next is fast" in answer(both)


def test_a_device_of_another_form_is_turned_away_and_what_it_would_save_is_said() -> None:
    module = option("built-in", 5.0, price=80.0, form="module")
    board = option("board", 5.0, price=40.0, form="sbc")
    unknown = option("unknown", 5.0, price=10.0)
    found = choose([module, board, unknown], Demand(form_factors=("module", "mini-pc")))
    assert found.winner is not None
    assert found.winner.option is module
    assert [bargain(one) for one in found.relaxed] == [
        "sbc in place of module or mini-pc buys board onnxruntime:fp32 at 50% less"
    ]
    stands = {one.option.profile.id: standing(one) for one in found.weighed}
    assert stands == {
        "built-in": "keeps to all",
        "board": "is sbc",
        "unknown": "form factor not known",
    }


def test_no_device_of_a_form_is_a_miss_that_names_one() -> None:
    board = option("board", 5.0, form="sbc")
    found = choose([option("unknown", 5.0), board], Demand(form_factors=("server",)))
    assert found.verdict == "none"
    [near] = found.relaxed
    assert miss(near) == "form factor: board onnxruntime:fp32 is sbc, asked is server"
    alone = choose([option("unknown", 5.0)], Demand(form_factors=("server",)))
    assert miss(alone.relaxed[0]) == "form factor: not known, of unknown onnxruntime:fp32 for one"


def test_none_says_the_nearest_miss_of_each_demand() -> None:
    found = choose([SLOW, FAST], Demand(max_latency_ms=1.0, max_price_usd=10.0))
    assert (found.verdict, found.winner) == ("none", None)
    assert {miss(one) for one in found.relaxed} == {
        "latency: fast onnxruntime:fp32 has 5, the limit is 1 ms",
        "price: slow onnxruntime:fp32 has 40, the limit is 10 USD",
    }


def test_what_may_well_keep_to_the_limit_and_is_cheaper_leaves_no_certainty() -> None:
    doubtful = option("doubtful", 10.2, width=2.0, kind="predicted", price=10.0)
    found = choose([doubtful, FAST], Demand(max_latency_ms=10.0))
    assert found.verdict == "cannot tell"
    assert found.winner is not None
    assert found.winner.option is FAST


def test_a_price_is_never_guessed() -> None:
    unknown = option("unknown", 1.0)
    found = choose([unknown, FAST], Demand())
    assert found.winner is not None
    assert found.winner.option is FAST
    assert choose([unknown], Demand()).by == "latency"
    assert choose([unknown], Demand(max_price_usd=1e9)).winner is None
    assert cost_usd(unknown, Fleet()) is None
    assert cost_usd(FAST, Fleet(usd_per_kwh=0.3)) is None


def test_a_bound_never_wins_and_memory_that_is_not_there_refuses() -> None:
    assert choose([option("bound", 1.0, kind="bound", price=1.0)], Demand()).winner is None
    assert choose([FAST], Demand(max_memory_bytes=1000.0)).winner is None


def test_cost_is_price_and_energy_of_all_devices_and_years() -> None:
    powered = option("powered", 1.0, price=100.0, power=10.0)
    fleet = Fleet(devices=3, years=2.0, usd_per_kwh=0.5)
    assert cost_usd(powered, fleet) == pytest.approx(3 * (100 + 0.010 * HOURS_A_YEAR * 2 * 0.5))


@settings(max_examples=50)
@given(boards, st.floats(0.1, 1e3), st.floats(0.0, 1.0))
def test_a_tighter_limit_never_costs_less(
    drawn: list[tuple[float, float | None, float | None]], limit: float, share: float
) -> None:
    options = [one for one in options_of(drawn) if one.price_usd is not None]
    loose, tight = (
        choose(options, Demand(max_latency_ms=ms)).winner for ms in (limit, limit * share + 1e-3)
    )
    if tight is not None and loose is not None and share < 0.99:
        assert (tight.cost_usd or 0.0) >= (loose.cost_usd or 0.0)
    if tight is not None and share < 0.99:
        assert loose is not None


@given(st.lists(st.tuples(maybe, maybe, maybe), max_size=8))
def test_the_front_is_exactly_what_nothing_dominates(
    points: list[tuple[float | None, ...]],
) -> None:
    kept = set(front(points))
    for index, point in enumerate(points):
        beaten = any(dominates(other, point) for other in points)
        assert (index in kept) is not beaten
    assert kept or not points


@given(known, st.floats(50, 99.9), st.floats(1.0, 500.0), st.floats(1.0, 1.5))
def test_a_queue_only_adds_to_latency_and_grows_without_end(
    service: float, percent: float, rate: float, times: float
) -> None:
    latency = Latency(
        p50_ms=service, low_ms=service, high_ms=service, kind="measured", basis="said"
    )
    alone = response_ms(latency, percent, None)
    slow, quick = (response_ms(latency, percent, rate * more) for more in (times, 1.0))
    assert alone <= quick <= slow
    assert (quick == math.inf) is (rate * service / 1e3 >= 1)
    scattered = replace(latency, mean=1.2, scatter=2.0)
    assert response_ms(scattered, percent, rate) >= quick


def test_what_was_not_compared_is_named_with_what_is_not_known_of_it() -> None:
    options = [option("bare", 1.0), option("dark", 1.0, price=10.0), FAST]
    fleet = Fleet(usd_per_kwh=0.3)
    powered = replace(FAST, profile=board("fast", price=80.0, power=5.0))
    demand = Demand(max_latency_ms=10.0)
    choice = choose([*options[:2], powered], demand, fleet)
    assert choice.winner is not None
    assert choice.winner.option is powered
    assert caveats(choice, demand) == [
        "Kept to the demands, but not compared by cost: bare (price unknown), dark (power unknown)."
    ]
    assert [cost_told(one) for one in choice.weighed[:2]] == ["price unknown", "power unknown"]
    assert caveats(choose([FAST], demand), demand) == []


def test_percentile_that_nobody_measured_is_told() -> None:
    demand = Demand(max_latency_ms=10.0, percentile=99.0)
    (said,) = caveats(choose([FAST], demand), demand)
    assert said.startswith("p99 of fast onnxruntime:fp32 was not measured: its median stands")
    assert FAST.latency is not None
    measured = replace(FAST, latency=replace(FAST.latency, tail={99.0: 1.5}))
    assert caveats(choose([measured], demand), demand) == []
