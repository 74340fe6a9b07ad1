# SPDX-License-Identifier: Apache-2.0
"""The choice where nothing could be timed: INT8 only where it is predicted faster, FP32 always."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from insight_edge.compile.choose_predicted import choose_predicted
from insight_edge.compile.targets.predict import predict
from insight_edge.documents.evidence import ProofVerdict, Trial
from insight_edge.documents.profile import HardwareProfile, Limits
from insight_edge.documents.target import target_from_token
from insight_edge.errors import NothingShippableError
from tests.fakes.hardware import profile_of
from tests.unit.compile.test_choose import proof

WITHOUT, WITH = ("asimd",), ("asimd", "asimddp")
TOKENS = ("onnxruntime:fp32", "onnxruntime:int8", "tflite:fp32", "tflite:fp16", "tflite:int8",
          "tflite:int8+dynamic")  # fmt: skip


def arm(isa: Sequence[str] = WITH) -> HardwareProfile:
    return profile_of(arch="aarch64", isa=isa)


def trial(
    token: str, profile: HardwareProfile, verdict: ProofVerdict = "PROVEN", size: int = 100
) -> Trial:
    target = target_from_token(token)
    return Trial(
        target=target,
        status="built",
        reason="",
        artifact_bytes=size,
        proof=proof(verdict),
        emulated="qemu",
        prediction=predict(target, profile),
    )


@pytest.mark.parametrize(
    ("token", "isa", "faster"),
    [
        ("onnxruntime:fp32", WITH, False),
        ("onnxruntime:int8", WITH, True),
        ("onnxruntime:int8", WITHOUT, False),
        ("tflite:int8+dynamic", WITH, False),
        ("openvino:int8+weights", WITH, False),
        ("tflite:fp16", WITH, False),
    ],
)
def test_static_int8_alone_is_predicted_faster_and_only_with_the_dot_product(
    token: str, isa: Sequence[str], faster: bool
) -> None:
    assert predict(target_from_token(token), arm(isa)).faster is faster


def test_int8_that_is_predicted_faster_wins_and_fp32_goes_along() -> None:
    trials = [trial(token, arm()) for token in ("onnxruntime:fp32", "onnxruntime:int8")]
    choice = choose_predicted(trials, arm())
    assert (choice.winner, choice.fallback) == (1, 0)
    assert choice.trials[1].reason == "won: proven under emulation, predicted faster than FP32"
    assert choice.trials[0].reason == "shipped as the FP32 fallback"


def test_int8_without_the_dot_product_is_not_shipped_even_alone() -> None:
    profile = arm(WITHOUT)
    with pytest.raises(NothingShippableError, match="no dot product instructions"):
        choose_predicted([trial("onnxruntime:int8", profile)], profile)


def test_engine_that_the_profile_names_first_wins_among_equals() -> None:
    profile = arm()
    trials = [trial(token, profile) for token in ("tflite:fp32", "onnxruntime:fp32")]
    choice = choose_predicted(trials, profile)
    assert (choice.winner, choice.fallback) == (1, None)
    assert choice.trials[0].reason == "not predicted faster than onnxruntime:fp32"


def test_what_has_no_proof_is_not_shipped_unless_that_is_accepted() -> None:
    profile = arm()
    trials = [trial("onnxruntime:fp32", profile, "UNPROVEN")]
    with pytest.raises(NothingShippableError, match="need 41 more"):
        choose_predicted(trials, profile)
    choice = choose_predicted(trials, profile, accept_unproven=True)
    assert "unproven, accepted under emulation" in choice.trials[0].reason


def test_what_nobody_executed_is_not_shipped_even_where_unproven_is_accepted() -> None:
    profile = arm()
    never = Trial(
        target=target_from_token("onnxruntime:fp32"),
        status="built",
        reason="built, not executed: no root",
        unexecuted="no root",
    )
    with pytest.raises(NothingShippableError, match="built, not executed: no root"):
        choose_predicted([never], profile, accept_unproven=True)


def test_files_that_are_too_large_are_not_shipped() -> None:
    profile = replace(arm(), limits=Limits(artifact_bytes=2**20))
    trials = [trial("onnxruntime:fp32", profile, size=2**21), trial("tflite:fp32", profile)]
    choice = choose_predicted(trials, profile)
    assert choice.winner == 1
    assert choice.trials[0].reason == "has 2.0 MiB, the limit is 1.0 MiB"


@given(
    st.lists(st.tuples(st.sampled_from(TOKENS), st.sampled_from(["PROVEN", "UNPROVEN", "FAILED"])),
             min_size=1, max_size=6, unique_by=lambda pair: pair[0]),
    st.sampled_from([WITH, WITHOUT]),
)  # fmt: skip
def test_what_is_shipped_is_proven_and_int8_never_without_a_reason(
    wanted: list[tuple[str, ProofVerdict]], isa: Sequence[str]
) -> None:
    profile = arm(isa)
    trials = [trial(token, profile, verdict) for token, verdict in wanted]
    try:
        choice = choose_predicted(trials, profile)
    except NothingShippableError:
        return
    shipped = [choice.trials[index] for index in choice.shipped]
    for one in shipped:
        assert one.chosen
        assert one.proof is not None
        assert one.proof.verdict == "PROVEN"
        predicted = one.prediction is not None and one.prediction.faster
        assert predicted or one.target.precision != "int8"
    full = [verdict for token, verdict in wanted if token.endswith("fp32")]
    assert "PROVEN" not in full or any(one.target.precision == "fp32" for one in shipped)
    assert all(one.reason for one in choice.trials)
    assert sum(one.chosen for one in choice.trials) == len(shipped)
