# SPDX-License-Identifier: Apache-2.0
"""The choice among trials: gates first, then speed, then precision."""

import pytest

from insight_edge.compile.choose import choose, objection
from insight_edge.documents.evidence import (
    Interval,
    Measurement,
    MeasurementVerdict,
    Noise,
    Proof,
    ProofVerdict,
    Trial,
)
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
