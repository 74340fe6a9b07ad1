# SPDX-License-Identifier: Apache-2.0
"""Contenders: which go along, which run of a device counts, and what it makes of the trials."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from insight_edge.compile.choose import choose
from insight_edge.compile.choose_predicted import choose_predicted
from insight_edge.compile.contenders import contenders, measured, run_of
from insight_edge.documents.facts import Facts
from insight_edge.documents.profile import Limits
from insight_edge.documents.result import BenchResult
from insight_edge.documents.target import target_from_token
from insight_edge.errors import ConfigurationError
from tests.fakes.hardware import profile_of
from tests.golden.record import RESULT
from tests.unit.compile.test_choose import failed
from tests.unit.compile.test_choose import measured as timed
from tests.unit.compile.test_choose_predicted import trial

PROFILE = profile_of(arch="aarch64", isa=("asimd",))
BOARD = Facts(
    arch="aarch64",
    cpu_model="Some CPU",
    isa=("asimd",),
    cores=2,
    memory_bytes=4 << 30,
    os="Linux",
)
TOKENS = ("onnxruntime:fp32", "onnxruntime:int8", "tflite:fp32")
ARTIFACTS = {token: f"sha256:{index:064x}" for index, token in enumerate(TOKENS)}


def result(
    token: str, p50_ms: float, *, run: str = "1", at_s: float = 0.0, host: Facts = BOARD
) -> BenchResult:
    return replace(
        RESULT,
        run=run,
        at_s=at_s,
        host=host,
        target=target_from_token(token),
        artifact=ARTIFACTS[token],
        measurement=timed(p50_ms),
        rounds_p50_ms=tuple(p50_ms + wobble for wobble in (0.0, 0.01, 0.02, 0.03, 0.04)),
    )


def test_what_is_proven_and_not_shipped_goes_along() -> None:
    trials = [trial(token, PROFILE) for token in TOKENS]
    trials += [trial("tflite:fp16", PROFILE, "FAILED"), failed("tvm:fp32")]
    choice = choose_predicted(trials, PROFILE)
    along = contenders(choice, Limits(), accept_unproven=False)
    assert [one.target.token for one in along] == ["onnxruntime:int8", "tflite:fp32"]


def test_what_is_too_large_for_the_profile_does_not_go_along() -> None:
    trials = [trial("onnxruntime:fp32", PROFILE), trial("tflite:fp32", PROFILE, size=2000)]
    choice = choose_predicted(trials, PROFILE)
    assert contenders(choice, Limits(artifact_bytes=1000), accept_unproven=False) == ()


def test_a_device_overturns_what_was_predicted() -> None:
    trials = [trial(token, PROFILE) for token in TOKENS]
    assert choose_predicted(trials, PROFILE).winner == 0
    results = [result(token, p50_ms) for token, p50_ms in zip(TOKENS, (9.0, 3.0, 8.0), strict=True)]
    found = measured(trials, run_of(results, ARTIFACTS, PROFILE), PROFILE)
    choice = choose(found, Limits())
    assert (choice.winner, choice.fallback) == (1, 2)
    int8 = choice.trials[1]
    assert int8.reason == "won: proven, p50 3 ms"
    assert int8.prediction is None
    assert int8.emulated == "qemu"
    assert int8.against_fp32 is not None
    assert int8.against_fp32.value == pytest.approx(1 / 3, rel=0.01)


def test_what_a_device_did_not_time_is_not_shipped() -> None:
    trials = [trial(token, PROFILE) for token in TOKENS]
    run = run_of([result("tflite:fp32", 5.0)], ARTIFACTS, PROFILE)
    choice = choose(measured(trials, run, PROFILE), Limits())
    assert choice.shipped == (2,)
    assert [one.reason for one in choice.trials[:2]] == ["was not measured"] * 2


def test_what_a_better_machine_timed_is_a_bound() -> None:
    better = replace(BOARD, cpu_model="A faster CPU", cores=8)
    run = run_of([result("tflite:fp32", 5.0, host=better)], ARTIFACTS, PROFILE)
    (found,) = measured([trial("tflite:fp32", PROFILE)], run, PROFILE)
    assert found.measurement is not None
    assert found.measurement.kind == "bound"


def test_results_of_other_artifacts_are_refused() -> None:
    other = replace(result("tflite:fp32", 5.0), artifact="sha256:" + "ff" * 32)
    with pytest.raises(ConfigurationError, match="none of 1 results is of an artifact"):
        run_of([other], ARTIFACTS, PROFILE)


def test_what_was_asked_otherwise_does_not_say_what_is_fastest() -> None:
    alone = result("tflite:fp32", 5.0)
    rate = replace(
        alone, run="2", at_s=9.0, measurement=replace(alone.measurement, scenario="server")
    )
    assert run_of([rate, alone], ARTIFACTS, PROFILE)["tflite:fp32"] == alone
    with pytest.raises(ConfigurationError, match="the results are of scenario server"):
        run_of([rate], ARTIFACTS, PROFILE)


def test_results_of_one_target_do_not_count_for_another_with_the_same_files() -> None:
    same = dict.fromkeys(("openvino:fp32", "openvino:bf16"), "sha256:" + "0" * 64)
    one = replace(
        RESULT, host=BOARD, target=target_from_token("openvino:bf16"), artifact="sha256:" + "0" * 64
    )
    assert run_of([one], same, PROFILE).keys() == {"openvino:bf16"}


def test_results_of_a_device_of_another_kind_are_refused() -> None:
    weak = replace(BOARD, cores=1)
    with pytest.raises(ConfigurationError, match="'pi-7' cannot stand in for box: it has 2 cores"):
        run_of([result("tflite:fp32", 5.0, host=weak)], ARTIFACTS, PROFILE)


def test_rounds_that_no_clock_gives_make_no_ratio() -> None:
    odd = [replace(result(token, 2.0), rounds_p50_ms=(1.0, 0.0)) for token in TOKENS]
    found = measured([trial("onnxruntime:int8", PROFILE)], run_of(odd, ARTIFACTS, PROFILE), PROFILE)
    assert found[0].against_fp32 is None


@given(st.permutations([("1", TOKENS, 1.0), ("2", TOKENS, 2.0), ("3", TOKENS[:1], 3.0)]))
def test_the_newest_of_the_fullest_runs_counts(
    runs: Sequence[tuple[str, Sequence[str], float]],
) -> None:
    results = [
        result(token, 1.0, run=run, at_s=at_s) for run, tokens, at_s in runs for token in tokens
    ]
    found = run_of(results, ARTIFACTS, PROFILE)
    assert found.keys() == set(TOKENS)
    assert {one.run for one in found.values()} == {"2"}
