# SPDX-License-Identifier: Apache-2.0
"""The choice among trials: gates first, then speed, then precision."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from insight_edge.compile.choose import choose, objection
from insight_edge.documents.evidence import (
    FloatLayer,
    Interval,
    Measurement,
    MeasurementVerdict,
    Noise,
    Proof,
    ProofVerdict,
    Trial,
)
from insight_edge.documents.facts import Facts
from insight_edge.documents.profile import Limits
from insight_edge.documents.target import target_from_token
from insight_edge.errors import NothingShippableError


def proof(verdict: ProofVerdict = "PROVEN") -> Proof:
    return Proof(
        rows=300,
        labelled=True,
        metric="accuracy",
        source_value=0.98,
        target_value=0.98,
        drop_pp=0.0,
        drop_upper_pp=0.9,
        budget_pp=1.0,
        need_rows=41 if verdict == "UNPROVEN" else 0,
        agreement=1.0,
        max_abs_error=0.0,
        sqnr_db=None,
        worst_row=0,
        verdict=verdict,
        reason="UNPROVEN: need 41 more" if verdict == "UNPROVEN" else verdict,
    )


def measured(
    p50_ms: float, spread: float = 0.01, verdict: MeasurementVerdict = "VALID", rss: int = 10**8
) -> Measurement:
    return Measurement(
        region="infer",
        iterations=100,
        rounds=5,
        threads=1,
        p50_ms=Interval(value=p50_ms, low=p50_ms - spread, high=p50_ms + spread),
        mean_ms=p50_ms,
        load_ms=1.0,
        first_ms=1.0,
        peak_rss_bytes=rss,
        noise=Noise(load_1min=0, steal_share=0, involuntary_switches=0, round_spread=0),
        verdict=verdict,
        reasons=("load",) if verdict != "VALID" else (),
    )


def trial(token: str, p50_ms: float, verdict: ProofVerdict = "PROVEN", **kwargs: float) -> Trial:
    return Trial(
        target=target_from_token(token),
        status="built",
        reason="",
        artifact_bytes=1000,
        proof=proof(verdict),
        measurement=measured(p50_ms, **kwargs),  # type: ignore[arg-type]  # only spread is passed
    )


def failed(token: str) -> Trial:
    return Trial(target=target_from_token(token), status="failed", reason="killed by signal 9")


def test_fastest_proven_trial_wins_and_fp32_is_its_fallback() -> None:
    choice = choose(
        [trial("onnxruntime:fp32", 1.0), trial("openvino:fp32", 0.9), trial("openvino:int8", 0.4)],
        Limits(),
    )
    assert (choice.winner, choice.fallback, choice.shipped) == (2, 1, (2, 1))
    assert choice.trials[2].reason == "won: proven, p50 0.4 ms"
    assert choice.trials[0].reason == "2.50x the p50 of openvino:int8"
    assert [t.chosen for t in choice.trials] == [False, True, True]


def test_higher_precision_wins_when_intervals_overlap() -> None:
    choice = choose(
        [trial("onnxruntime:fp32", 1.0, spread=0.1), trial("onnxruntime:int8", 0.85, spread=0.1)],
        Limits(),
    )
    assert (choice.winner, choice.fallback) == (0, None)
    assert "not measurably faster than onnxruntime:fp32" in choice.trials[1].reason


def test_unproven_is_never_chosen_unless_accepted() -> None:
    trials = [trial("onnxruntime:fp32", 1.0), trial("onnxruntime:int8", 0.3, "UNPROVEN")]
    assert choose(trials, Limits()).winner == 0
    assert choose(trials, Limits()).trials[1].reason == "UNPROVEN: need 41 more"
    accepted = choose(trials, Limits(), accept_unproven=True)
    assert accepted.winner == 1
    assert accepted.trials[1].reason.startswith("won: unproven, accepted")


def test_nothing_left_is_an_error_that_says_how_many_rows_are_missing() -> None:
    with pytest.raises(NothingShippableError) as raised:
        choose([trial("onnxruntime:int8", 0.3, "UNPROVEN"), failed("openvino:fp32")], Limits())
    assert raised.value.exit_code == 1
    assert "killed by signal 9" in str(raised.value)
    assert raised.value.hint is not None
    assert "41 more" in raised.value.hint


def test_what_is_accepted_already_is_no_way_out() -> None:
    untimed = msgspec.structs.replace(
        trial("onnxruntime:int8", 0.3, "UNPROVEN"), measurement=measured(0.3, verdict="INVALID")
    )
    with pytest.raises(NothingShippableError) as raised:
        choose([untimed], Limits(), accept_unproven=True)
    assert "measurement INVALID" in str(raised.value)
    assert raised.value.hint == "measure for longer: more --rounds"


def test_nothing_tried_is_an_error() -> None:
    with pytest.raises(NothingShippableError):
        choose([], Limits())


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(latency_p50_ms=0.5), "p50 1 ms is over the limit of 0.5 ms"),
        (Limits(memory_bytes=2**20), "the limit is 1 MiB"),
        (Limits(artifact_bytes=10), "the limit is 0.0 MiB"),
    ],
)
def test_limit_of_the_profile_is_a_gate(limits: Limits, said: str) -> None:
    why = objection(trial("onnxruntime:fp32", 1.0), limits, accept_unproven=False)
    assert why is not None
    assert said in why


def test_failed_proof_and_invalid_measurement_are_gates() -> None:
    wrong = trial("onnxruntime:int8", 1.0, "FAILED")
    assert objection(wrong, Limits(), accept_unproven=True) == "FAILED"
    invalid = Trial(
        target=target_from_token("onnxruntime:fp32"),
        status="built",
        reason="",
        proof=proof(),
        measurement=measured(1.0, verdict="INVALID"),
    )
    why = objection(invalid, Limits(), accept_unproven=True)
    assert why is not None
    assert why.startswith("measurement INVALID")


TOKENS = [f"{engine}:{p}" for engine in ("a", "b") for p in ("fp32", "bf16", "fp16", "int8")]
PLANTED = st.dictionaries(
    st.sampled_from(TOKENS),
    st.tuples(st.floats(0.1, 2.0), st.floats(0.0, 0.5), st.floats(0.0, 0.5)),
    min_size=1,
)


def planted(latencies: dict[str, tuple[float, float, float]]) -> list[Trial]:
    """Return trials of these p50s, with what lies below and above; ratios as the p50s have it."""
    trials = []
    for token, (p50, below, above) in latencies.items():
        one = trial(token, p50)
        assert one.measurement is not None
        interval = Interval(value=p50, low=p50 - min(below, p50 / 2), high=p50 + above)
        one = replace(one, measurement=replace(one.measurement, p50_ms=interval))
        full = latencies.get(f"{token[0]}:fp32")
        if full is not None and not token.endswith("fp32"):
            ratio = p50 / full[0]
            paired = Interval(value=ratio, low=ratio - below, high=ratio + above)
            one = replace(one, against_fp32=paired)
        trials.append(one)
    return trials


@given(PLANTED)
def test_winner_is_never_slower_than_any_fp32_and_less_precise_only_if_measurably_faster(
    latencies: dict[str, tuple[float, float, float]],
) -> None:
    trials = planted(latencies)
    choice = choose(trials, Limits())
    winner = choice.trials[choice.winner]
    assert winner.measurement is not None
    mine = winner.measurement.p50_ms
    for other in trials:
        if other.target.precision != "fp32" or other.target == winner.target:
            continue
        assert other.measurement is not None
        theirs = other.measurement.p50_ms
        if winner.target.precision == "fp32":
            assert mine.value <= theirs.value
        else:
            assert mine.high < theirs.low
            if other.target.backend == winner.target.backend:
                assert winner.against_fp32 is not None
                assert winner.against_fp32.high < 1


@given(PLANTED)
def test_every_trial_that_loses_says_why(latencies: dict[str, tuple[float, float, float]]) -> None:
    for one in choose(planted(latencies), Limits()).trials:
        assert one.chosen or "x the p50 of" in one.reason or "not measurably" in one.reason


def facts(*isa: str) -> Facts:
    return Facts(arch="x86_64", cpu_model="c", isa=isa, cores=2, memory_bytes=1, os="o")


@pytest.mark.parametrize(
    ("p50_ms", "said"),
    [
        (1.11, "1.11x the p50 of openvino:fp32: no VNNI on this processor"),
        (0.995, "not measurably faster than openvino:fp32, which is more precise: no VNNI"),
    ],
)
def test_int8_that_gains_nothing_says_what_the_processor_lacks(p50_ms: float, said: str) -> None:
    trials = [trial("openvino:fp32", 1.0), trial("openvino:int8", p50_ms)]
    lost = choose(trials, Limits(), measured_on=facts("avx2")).trials[1]
    assert lost.reason.startswith(said)
    with_vnni = choose(trials, Limits(), measured_on=facts("avx2", "avx_vnni")).trials[1]
    assert "VNNI" not in with_vnni.reason


def test_paired_ratio_that_includes_one_is_no_gain_though_intervals_part() -> None:
    int8 = replace(trial("a:int8", 0.9), against_fp32=Interval(value=0.9, low=0.79, high=1.02))
    choice = choose([trial("a:fp32", 1.0), int8], Limits())
    assert choice.winner == 0
    assert "not measurably faster than a:fp32" in choice.trials[1].reason


def test_int8_ships_alone_where_fp32_is_over_a_limit() -> None:
    full = replace(trial("a:fp32", 1.0), artifact_bytes=10**6)
    choice = choose([full, trial("a:int8", 1.2)], Limits(artifact_bytes=2000))
    assert (choice.winner, choice.fallback) == (1, None)


def test_repaired_trial_names_what_stays_in_floating_point() -> None:
    layers = tuple(
        FloatLayer(name=f"l{i}", op="Conv", why="depthwise", sqnr_db=3.0) for i in range(5)
    )
    mixed = replace(trial("a:int8+mixed", 0.5), float_layers=layers)
    choice = choose([trial("a:fp32", 1.0), mixed], Limits())
    assert choice.trials[1].reason == (
        "won: proven, p50 0.5 ms; in floating point: "
        "l0 (depthwise), l1 (depthwise), l2 (depthwise), 2 more"
    )
