# SPDX-License-Identifier: Apache-2.0
"""What is predicted: never slower on more, said with its interval, or not said at all."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insight_edge.documents.target import Target
from insight_edge.selection.costs import KINDS, costs
from insight_edge.selection.factors import fit_factors
from insight_edge.selection.known import SHIPPED
from insight_edge.selection.latency import Latency, predict_latency
from insight_edge.selection.learning import FEWEST, Observation, datasheet, learn, spread_of
from insight_edge.selection.machine import Machine, machine_from_profile
from insight_edge.selection.roofline import Roof, bound
from tests.fakes.selecting import board, operation, workload

FP32 = Target(backend="onnxruntime", precision="fp32")
INT8 = Target(backend="onnxruntime", precision="int8")
OPS = ("Conv", "Gemm", "LSTM", "Softmax", "Relu", "Transpose")

operations = st.lists(
    st.builds(
        operation,
        st.sampled_from(OPS),
        flops=st.integers(0, 10**9),
        weights=st.integers(0, 10**7),
    ),
    min_size=1,
    max_size=5,
)
speeds = st.floats(1e8, 1e12)


def predicted_ms(profile: object, asked: object, target: Target = FP32) -> float:
    found = predict_latency(asked, profile, target, {})  # type: ignore[arg-type]
    assert isinstance(found, Latency)
    return found.p50_ms


@settings(max_examples=40)
@given(operations, speeds, speeds, speeds, speeds)
def test_more_bandwidth_peak_or_clock_is_never_slower(
    asked: list[object], one: float, other: float, peak: float, clock: float
) -> None:
    model = workload(*asked)  # type: ignore[arg-type]
    less, more = sorted((one, other))
    for changed in ("bandwidth", "peak", "clock_hz"):
        figures = {"bandwidth": peak, "peak": peak, "clock_hz": clock}
        before = predicted_ms(board(**{**figures, changed: less}), model)  # type: ignore[arg-type]
        after = predicted_ms(board(**{**figures, changed: more}), model)  # type: ignore[arg-type]
        assert after <= before * (1 + 1e-12)


def test_a_prediction_says_so_and_has_an_interval_about_it() -> None:
    found = predict_latency(workload(), board(arch="x86_64"), FP32, {})
    assert isinstance(found, Latency)
    assert (found.kind, found.basis) == ("predicted", "datasheet only")
    assert 0 < found.low_ms < found.p50_ms < found.high_ms < math.inf


def test_where_the_factors_are_of_another_class_the_interval_is_wider() -> None:
    own, other = datasheet("x86_64"), datasheet("aarch64")
    assert other.strange.high > own.strange.high
    assert "x86_64" in other.basis


def test_without_the_figures_it_is_a_bound_and_without_that_a_reason() -> None:
    blind = board(clock_hz=None)
    least = bound(workload().operations, Roof(bandwidth_bytes_per_s=1e10, cache_bytes=0))
    found = predict_latency(workload(), blind, FP32, {}, least)
    assert isinstance(found, Latency)
    assert found.kind == "bound"
    assert found.high_ms == math.inf
    assert "no clock" in found.basis
    assert predict_latency(workload(), blind, FP32, {}) == (
        "the profile gives no clock of its processor"
    )


@pytest.mark.parametrize("bad", [math.nan, 0.0, -1.0, math.inf])
def test_a_figure_that_is_no_positive_number_predicts_nothing(bad: float) -> None:
    found = predict_latency(workload(), board(bandwidth=bad), FP32, {})
    assert found == "a figure of the profile is not a positive number"


def test_an_unknown_operator_or_an_unsized_tensor_predicts_nothing() -> None:
    for changes in ({"unknown_ops": ("Secret",)}, {"unsized": ("t",)}):
        assert isinstance(predict_latency(workload(**changes), board(), FP32, {}), str)


def observations(devices: int, models: int, *, slower: float = 1.0) -> list[Observation]:
    rng, made = np.random.default_rng(0), []
    true = np.array(SHIPPED.values) * np.exp(rng.normal(0, 0.5, len(KINDS)))
    for index in range(devices):
        machine = machine_from_profile(board(clock_hz=1e9 * (index + 1)), FP32)
        assert isinstance(machine, Machine)
        for number in range(models):
            ops = [operation(OPS[(number + i) % len(OPS)], flops=10**6 << i) for i in range(4)]
            own = costs(workload(*ops), machine)
            seconds = float(own @ true) * float(np.exp(rng.normal(0, 0.02)))
            made.append(
                Observation(
                    device=f"board-{index} onnxruntime:fp32",
                    model=f"m{number}",
                    costs=own,
                    seconds=seconds * (slower if index == 0 else 1.0),
                )
            )
    return made


def test_factors_are_found_again_from_what_they_made() -> None:
    made = observations(4, 12)
    rows = np.array([one.costs for one in made])
    seconds = np.array([one.seconds for one in made])
    fitted = fit_factors(rows, seconds, SHIPPED)
    before, after = (np.abs(f.seconds(rows) / seconds - 1).mean() for f in (SHIPPED, fitted))
    assert after < 0.05 < before
    assert fit_factors(rows[:0], seconds[:0], SHIPPED).values == pytest.approx(SHIPPED.values)


def test_a_device_that_is_slower_than_its_figures_say_has_an_offset() -> None:
    found = learn(observations(4, 12, slower=2.0), "aarch64")
    assert found.offsets["board-0 onnxruntime:fp32"] > found.offsets["board-1 onnxruntime:fp32"]
    narrow = found.familiar
    assert not narrow or max(s.high for s in narrow.values()) < found.strange.high + 1


def test_few_measurements_leave_the_datasheets_interval() -> None:
    found = learn(observations(1, 3), "aarch64")
    assert found.strange == datasheet("aarch64").strange
    assert "interval of the datasheet" in found.basis


@given(st.lists(st.floats(-3, 3), min_size=FEWEST, max_size=60))
def test_a_spread_holds_nine_tenths_of_the_errors_it_was_made_of(errors: list[float]) -> None:
    spread = spread_of(errors)
    inside = sum(spread.low <= error <= spread.high for error in errors)
    assert inside >= 0.9 * len(errors)
