# SPDX-License-Identifier: Apache-2.0
"""Ratios over many models, which rivals count, and when one says slower."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.compile.figures import figures_of, figures_of_all
from benchmarks.compile.ratios import Pair, geometric_mean, not_slower
from benchmarks.compile.subjects import CHOSEN, DEFAULT, TORCH, Taken
from benchmarks.figure import Figure
from insight_edge.bench.interleave import Block
from insight_edge.compile.trials.verify import prove
from insight_edge.documents.evidence import Trial
from insight_edge.documents.target import target_from_token
from zoo.member import Card

ROUNDS = 8
SCORES = {"y": np.eye(4, dtype=np.float32)[np.arange(400) % 4]}


def blocks(latency_ns: float, rounds: int = ROUNDS) -> list[Block]:
    return [np.array([latency_ns + i, latency_ns, latency_ns - i], np.int64) for i in range(rounds)]


def pair(ratio: float) -> Pair:
    return blocks(1_000_000 * ratio), blocks(1_000_000)


def taken(*, drop_pp: float = 0.0, **latency_ns: float) -> Taken:
    card = Card(name="resnet18", family="CNN", file="model.onnx", task="any", data="any",
                licence="any", metric="accuracy", value=0.9, labelled=True,
                rows={"training": 1, "calibration": 1, "verification": 400})  # fmt: skip
    trials = [
        Trial(
            target=target_from_token(f"onnxruntime:{precision}"),
            status="built",
            reason=reason,
            artifact_bytes=size,
            proof=prove(SCORES, SCORES, None, budget_pp=1.0),
        )
        for precision, reason, size in (("fp32", "lost", 10_000_000), ("int8", "won", 2_600_000))
    ]
    return Taken(
        card=card,
        trials=tuple(trials),
        blocks={name.replace("_", " "): blocks(value) for name, value in latency_ns.items()},
        drop_pp={"Olive": drop_pp, DEFAULT: 0.0},
        lost={},
        cold_s=30.0,
        cached_s=5.0,
        int8_s=20.0,
    )


def against(figures: list[Figure], peer: str) -> Figure:
    return next(figure for figure in figures if figure.peer == peer)


def test_mean_of_a_half_and_two_is_one() -> None:
    value, low, high = geometric_mean([pair(0.5), pair(2.0)])
    assert value == pytest.approx(1.0, abs=1e-3)
    assert low <= value <= high


@given(ratios=st.lists(st.floats(0.05, 20.0), min_size=1, max_size=6))
def test_mean_is_that_of_the_logarithms(ratios: list[float]) -> None:
    value, low, high = geometric_mean([pair(ratio) for ratio in ratios])
    assert value == pytest.approx(math.exp(np.mean(np.log(ratios))), rel=1e-3)
    assert low <= value * (1 + 1e-9)
    assert high >= value * (1 - 1e-9)


def test_mean_of_nothing_is_no_number() -> None:
    with pytest.raises(ValueError, match="no model"):
        geometric_mean([])


@pytest.mark.parametrize(
    ("estimate", "rounds", "verdict"),
    [
        ((0.9, 0.8, 0.99), 8, "WITHIN"),
        ((1.01, 0.99, 1.03), 8, "WITHIN"),
        ((1.01, 0.9, 1.1), 8, "NOISY"),
        ((1.1, 1.01, 1.2), 8, "OVER"),
        ((0.9, 0.8, 0.99), 4, "NOISY"),
    ],
)
def test_as_fast_is_not_slower(
    estimate: tuple[float, float, float], rounds: int, verdict: str
) -> None:
    assert not_slower(estimate, rounds) == verdict


def test_rival_that_loses_no_more_has_a_bar() -> None:
    faster = taken(chosen=1e6, Olive=9e5)
    figure = against(list(figures_of(faster)), "Olive")
    assert (figure.bar, figure.verdict) == (1.0, "OVER")


def test_rival_that_loses_more_is_shown_without_a_bar() -> None:
    worse = taken(chosen=1e6, Olive=9e5, drop_pp=2.0)
    figure = against(list(figures_of(worse)), "Olive")
    assert (figure.bar, figure.verdict) == (None, None)
    assert "loses 2.00 pp" in figure.note
    assert not [f for f in figures_of_all([worse], vnni=True) if "Olive" in f.peer]


def test_means_have_a_bar_where_the_processor_has_vnni() -> None:
    one = taken(chosen=1e6, PyTorch_eager=3e6, default_ONNX_Runtime=3e6)
    for vnni, torch_verdict, default_verdict in ((True, "OVER", "WITHIN"), (False, None, None)):
        figures = list(figures_of_all([one], vnni=vnni))
        assert against(figures, TORCH).verdict == torch_verdict
        assert against(figures, DEFAULT).verdict == default_verdict


def test_size_drop_and_times_are_held_to_their_bars() -> None:
    figures = {f.measured: f for f in figures_of(taken(chosen=1e6))}
    assert figures["bytes of onnxruntime:int8"].verdict == "WITHIN"
    assert figures["bytes of onnxruntime:int8"].value.value == pytest.approx(0.26)
    assert figures["drop in percentage points"].verdict == "WITHIN"
    assert figures["INT8 of a CNN with 300 rows"].verdict == "WITHIN"
    assert figures["compilation, nothing kept"].bar is None


def test_names_are_those_that_are_timed() -> None:
    assert CHOSEN in taken(chosen=1.0).blocks


def test_build_that_failed_is_counted_and_named() -> None:
    whole = taken(chosen=1.0, own_FP32=2.0)
    lost = Trial(target=target_from_token("tvm:fp32"), status="failed", reason="no such kernel")
    refused = Trial(target=target_from_token("tflite:fp32"), status="refused", reason="no LSTM")

    def failed(one: Taken) -> Figure:
        return next(f for f in figures_of(one) if f.measured == "builds that failed")

    assert (failed(whole).value.value, failed(whole).verdict) == (0, "WITHIN")
    found = failed(replace(whole, trials=(*whole.trials, lost, refused)))
    assert (found.value.value, found.verdict, found.peer) == (1, "OVER", "of 3")
    assert found.note == "tvm:fp32: no such kernel"
